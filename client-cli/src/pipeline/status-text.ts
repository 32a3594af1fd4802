import { addressFrom } from './find-targets.ts'
import { relativeTo } from './stage-path.ts'
import type { Stage } from './stage.ts'
import type { Change } from './staleness.ts'

/** A stage's sections in the shape of `status --json`: `{"changed deps": {"data": "modified"}}`, `"always changed"`, … */
export type StatusSection = string | { [section: string]: StatusRows }
interface StatusRows {
  [path: string]: string | { [key: string]: string }
}

/** Address to sections, for the stages that changed. Paths are relative to `cwd`, which is root-relative. */
export function statusOf(
  rows: ReadonlyArray<{ stage: Stage; changes: readonly Change[] }>,
  cwd: string,
): Record<string, StatusSection[]> {
  // That a stage was never run is told by its outs, and not as a change of its command.
  const told = rows.map(({ stage, changes }) => ({
    stage,
    changes: changes.filter(({ kind }) => kind !== 'command' || stage.lockedCmd !== undefined),
  }))
  const changed = told.filter(({ changes }) => changes.length > 0)
  return Object.fromEntries(changed.map(({ stage, changes }) => [addressFrom(stage, cwd), sectionsOf(changes, cwd)]))
}

function sectionsOf(changes: readonly Change[], cwd: string): StatusSection[] {
  const deps: StatusRows = {}
  const outs: StatusRows = {}
  const own: string[] = []
  for (const change of changes) {
    if (change.kind === 'dep') deps[relativeTo(cwd, change.path)] = change.state
    else if (change.kind === 'out') outs[relativeTo(cwd, change.path)] = change.state
    else if (change.kind === 'param') {
      const file = relativeTo(cwd, change.path)
      const keys = deps[file]
      deps[file] = { ...(typeof keys === 'object' && keys), [change.key]: change.state }
    } else own.push(OWN[change.kind])
  }
  return [...section('changed deps', deps), ...section('changed outs', outs), ...own]
}

const OWN = { command: 'changed command', checksum: 'changed checksum', always: 'always changed' } as const

const section = (name: string, rows: StatusRows): StatusSection[] => (Object.keys(rows).length === 0 ? [] : [{ [name]: rows }])

/** The same for people: one block a stage, indented by tabs. Ends without a line end. */
export function statusText(status: Readonly<Record<string, readonly StatusSection[]>>): string {
  const lines: string[] = []
  for (const [address, sections] of Object.entries(status)) {
    lines.push(`${address}:`)
    for (const part of sections) {
      if (typeof part === 'string') lines.push(`\t${part}`)
      else for (const [name, rows] of Object.entries(part)) lines.push(`\t${name}:`, ...rowLines(rows, '\t\t'))
    }
  }
  return lines.join('\n')
}

function rowLines(rows: StatusRows, indent: string): string[] {
  return Object.entries(rows).flatMap(([name, state]) =>
    typeof state === 'string'
      ? [`${indent}${`${state}:`.padEnd(20)}${name}`]
      : [`${indent}${name}:`, ...rowLines(state, `${indent}\t`)],
  )
}
