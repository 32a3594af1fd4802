import { cpSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { summarize } from '../../client-cli/src/transfer/outcome.ts'
import { CAIRN, createWorkstation, folderDigest, type Finished, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'
import type { Form, Row } from './big-project-rows.ts'
import { foretold } from './foretold.ts'
import { withoutDrawing } from './without-drawing.ts'

export type Client = 'cairn' | 'dvc'
/** Gives the project a remote. */
export type Remote = (station: Workstation) => Promise<void>

/** A command of this suite: `git` and `rm` are what they are, everything else is the client's. */
async function act(client: Client, station: Workstation, command: string): Promise<Finished> {
  const [first = '', ...rest] = command.split(' ').map((word) => word.replaceAll('\u00a0', ' '))
  const file = first === 'git' || first === 'rm' ? first : client === 'cairn' ? CAIRN : realParts().dvc
  return await run(file, file === first ? rest : [first, ...rest], { cwd: station.dir, env: station.env })
}

export interface Answer {
  code: number
  stdout: unknown
  /** What Git sees of it. */
  status: string
  /** Every tracked or ignored file of the workspace, by its digest. */
  files: Record<string, string | undefined>
  /** What the cache holds, below its folder; only of a row that asks for it. */
  objects?: string[]
}

/** What the row does by one client, in a copy of the project of its own. */
export async function answer(client: Client, project: string, row: Row, remote?: Remote): Promise<Answer> {
  const station = createWorkstation()
  try {
    cpSync(project, station.dir, { recursive: true, preserveTimestamps: true })
    await remote?.(station)
    for (const command of row.prepare ?? []) {
      const done = await act(client, station, command)
      if (done.code !== 0) throw new Error(`${client} ${command}: ${done.code}\n${done.stdout}\n${done.stderr}`)
    }
    row.before?.(station.dir)
    const before = { ...look(station), packed: packed(station.dir) }
    const done = await act(client, station, row.command)
    // Each names itself in its hints, and ends tables with blanks or not.
    const restless = client === 'dvc' && before.packed !== undefined && packed(station.dir) === before.packed
    const stdout = (restless ? withoutRestless(done.stdout) : done.stdout)
      .replaceAll(station.dir, '<dir>')
      .replace(/(?<![\w./'])(?:cairn|dvc) (?=[a-z]+\b)/g, '<client> ')
      .replace(/ +$/gm, '')
    if (client === 'cairn') row.kept?.(station.dir)
    const after = client === 'dvc' && row.failsWhole ? { status: before.status, files: before.files } : look(station)
    const objects = row.objects && objectsIn(station.dir)
    return { code: done.code, stdout: shaped(stdout, row.form ?? 'text'), ...after, ...(objects && { objects }) }
  } finally {
    station.remove()
  }
}

const look = (station: Workstation): Pick<Answer, 'status' | 'files'> => ({
  status: station.git('status', '--short'),
  files: workspace(station.dir),
})

/** The digest of the file of a tracked folder that may be executed; undefined when it may not be. */
function packed(dir: string): string | undefined {
  const file = path.join(dir, 'features/packed/selected.txt')
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0
  return (mode & 0o100) === 0 ? undefined : folderDigest(file)
}

/** For stock a file of a folder that may be executed is modified, at each checkout again, and nothing happens to it. */
function withoutRestless(stdout: string): string {
  const lines = stdout.replace(/^M +features\/packed\/\n/m, '')
  return lines.replace(/^\d+ files? \w+(, \d+ files? \w+)*( and \d+ files? \w+)?$/m, (text) => {
    const counts = [...text.matchAll(/(\d+) files? (\w+)/g)].map(([, count, verb = '']): [number, string] => [
      Number(count),
      verb,
    ])
    return summarize(counts.map(([count, verb]) => [verb === 'modified' ? count - 1 : count, verb])) ?? 'No changes.'
  })
}

function objectsIn(dir: string): string[] {
  const files = readdirSync(path.join(dir, '.dvc/cache/files'), { recursive: true, withFileTypes: true })
  return files
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(path.join(dir, '.dvc/cache'), path.join(entry.parentPath, entry.name)))
    .toSorted()
}

function shaped(stdout: string, form: Form): unknown {
  if (form === 'nothing') return ''
  if (form === 'lines') return stdout.split('\n').map(sortFiles).toSorted()
  // Cairn says what goes, and how large it is.
  if (form === 'removals') return stdout.split('\n').map(withoutName).toSorted()
  if (form === 'text') return stdout
  if (form === 'boxes') return [...stdout.matchAll(/\| (\S(?:.*?\S)?) \|/g)].map(([, label]) => label).toSorted()
  if (form === 'edges') return edgesOf(stdout)
  if (form === 'foretold') return foretold(stdout)
  try {
    const value = JSON.parse(stdout) as object
    if (form === 'any order') return inOrder(value)
    if (form === 'drawings') return JSON.stringify(withoutDrawing(value), undefined, 1)
    return JSON.stringify(value, undefined, 1)
  } catch {
    return stdout
  }
}

/** What Mermaid draws, whatever numbers its nodes have. */
function edgesOf(stdout: string): string[] {
  const labels = new Map([...stdout.matchAll(/(node\d+)\["(.*?)"\]/g)].map(([, id = '', label = '']) => [id, label]))
  const edges = [...stdout.matchAll(/(node\d+)-->(node\d+)/g)]
  return [...labels.values(), ...edges.map(([, from = '', to = '']) => `${labels.get(from)} --> ${labels.get(to)}`)].toSorted()
}

/** The files that a hint names stand in any order. */
const sortFiles = (line: string): string => (line.startsWith('\tgit add') ? line.split(' ').toSorted().join(' ') : line)

const withoutName = (line: string): string => line.replace(/^(Removing \S+) \(.*\)$/, '$1')

/** Keys by name and lists of files sorted, at any depth. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) {
    const parts = value.map(inOrder)
    return parts.every((part) => typeof part === 'string') ? parts.toSorted() : parts
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, part]) => [key, inOrder(part)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** What the user sees: everything but Git's and dvc's own folders, stage files by their bytes, other files by their digest. */
function workspace(dir: string): Record<string, string | undefined> {
  const names = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)))
    .filter((name) => !/^(\.git|\.dvc)\//.test(name))
    .toSorted()
  return Object.fromEntries(names.map((name) => [name, contentOf(dir, name)]))
}

function contentOf(dir: string, name: string): string | undefined {
  const file = path.join(dir, name)
  if (!/(\.dvc|dvc\.yaml|dvc\.lock|\.gitignore)$/.test(name)) return folderDigest(file)
  const text = readFileSync(file, 'utf8').replaceAll(dir, '<dir>')
  // Whatever stock changes in a pipeline file, it breaks all its long lines anew, with a blank before the break.
  return name.endsWith('dvc.yaml') ? text.replace(/ \n +/g, ' ') : text
}

/** How the suite calls a row. */
export const nameOf = (row: Row): string => [...(row.prepare ?? []), ...(row.before ? ['edits'] : []), row.command].join(', ')
