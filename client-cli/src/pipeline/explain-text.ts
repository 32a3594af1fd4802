import { formatJson } from '../report/json.ts'
import type { Explained, FileChanges, Reason } from './explain.ts'
import { addressFrom } from './find-targets.ts'
import { mappingOf } from './staleness.ts'
import { isNumber, numberOf, numberText } from './python-value.ts'
import { relativeTo } from './stage-path.ts'

const VERDICTS: Record<Explained['verdict'], string> = {
  fresh: 'is up to date',
  checkout: 'would get its outputs back from the cache',
  commit: 'would be taken up again',
  run: 'would run',
  after: 'would run if what it reads changes',
}

/** For people: a line a stage, and below it one for each reason. `cwd` is root-relative. */
export function explainText(explained: readonly Explained[], cwd: string): string {
  return explained
    .flatMap(({ stage, verdict, reasons }) => [
      `${stage.kind === 'pipeline' ? 'Stage ' : ''}'${addressFrom(stage, cwd)}' ${VERDICTS[verdict]}`,
      ...reasons.flatMap((reason) => reasonLines(reason, cwd)).map((line) => `  ${line}`),
    ])
    .join('\n')
}

function reasonLines(reason: Reason, cwd: string): string[] {
  switch (reason.kind) {
    case 'forced':
      return ['forced']
    case 'never run':
      return ['it was never run']
    case 'always':
      return ['it is always considered changed']
    case 'checksum':
      return ['its definition changed']
    case 'command':
      return ['command changed:', ...commandLines('-', reason.before), ...commandLines('+', reason.now)]
    case 'param': {
      const name = `param '${reason.key}' of '${relativeTo(cwd, reason.file)}'`
      if (reason.state === 'new') return [`${name} is new: ${valueText(reason.now)}`]
      return [
        reason.state === 'deleted' ? `${name} is missing` : `${name}: ${valueText(reason.before)} -> ${valueText(reason.now)}`,
      ]
    }
    case 'dep':
    case 'out': {
      const state =
        reason.state === 'deleted' ? 'is missing' : reason.state === 'not in cache' ? 'is not in the cache' : 'changed'
      return [`${reason.kind} '${relativeTo(cwd, reason.path)}' ${state}`, ...fileLines(reason.files)]
    }
    case 'upstream':
      return [`'${addressFrom(reason.stage, cwd)}' comes first`]
  }
}

function commandLines(sign: string, cmd: string | readonly string[] | undefined): string[] {
  const lines = typeof cmd === 'string' ? cmd.split('\n') : (cmd ?? [])
  return lines.map((line) => `  ${sign} ${line}`)
}

function fileLines(files: FileChanges | undefined): string[] {
  if (!files) return []
  const named = (['added', 'modified', 'deleted'] as const).flatMap((state) =>
    files[state].map((name) => `  ${`${state}:`.padEnd(10)}${name}`),
  )
  const more = files.total - named.length
  return more > 0 ? [...named, `  and ${more} more`] : named
}

function valueText(value: unknown): string {
  if (value === undefined) return 'nothing'
  return isNumber(value) ? numberText(value) : formatJson(plainJson(value))
}

/** For programs: `{"stages": [{"stage", "verdict", "reasons"}]}`. */
export function explainJson(explained: readonly Explained[], cwd: string): string {
  const stages = explained.map(({ stage, verdict, reasons }) => ({
    stage: addressFrom(stage, cwd),
    verdict,
    reasons: reasons.map((reason) => reasonJson(reason, cwd)),
  }))
  return formatJson({ stages })
}

function reasonJson(reason: Reason, cwd: string): Record<string, unknown> {
  switch (reason.kind) {
    case 'param': {
      const { kind, file, key, state, before, now } = reason
      return { kind, file: relativeTo(cwd, file), key, state, before: plainJson(before), now: plainJson(now) }
    }
    case 'dep':
    case 'out':
      return { ...reason, path: relativeTo(cwd, reason.path) }
    case 'upstream':
      return { kind: 'upstream', stage: addressFrom(reason.stage, cwd) }
    default:
      return { ...reason }
  }
}

/** Values of YAML, JSON and TOML as JSON has them. */
function plainJson(value: unknown): unknown {
  if (isNumber(value)) return typeof value === 'bigint' ? value : numberOf(value)
  if (Array.isArray(value)) return value.map(plainJson)
  const entries = mappingOf(value)
  if (entries) return Object.fromEntries([...entries].map(([key, entry]) => [key, plainJson(entry)]))
  return value instanceof Date ? value.toISOString() : value
}
