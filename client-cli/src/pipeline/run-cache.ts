import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { isCode } from '@cairn/protocol/error'
import { type Digest, isLegacy, isTree, makeDigest } from '@cairn/protocol/digest'
import { asciiJson, compareCodePoints } from '@cairn/protocol/tree'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { makeFolders } from '../io/make-folders.ts'
import { isNumber, numberText } from './python-value.ts'
import type { Out, Recorded, Stage } from './stage.ts'
import { digestText } from './stage-entry.ts'
import { mappingOf } from './staleness.ts'
import { plainValue, readYaml } from './yaml-read.ts'
import { writeYaml, type YamlValue } from './yaml-text.ts'

/**
 * What a run read and, once it is over, what it made: the stage's dvc.lock entry. Filed below `<cache>/runs` under the hash
 * of the former, so that the same command on the same deps need not run again. dvc reads and writes the same files.
 */
export interface RunEntry {
  cmd: string | readonly string[]
  deps: readonly RunRow[]
  params: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  outs: readonly RunRow[]
}

interface RunRow extends Partial<Recorded> {
  /** As written in the stage, relative to its wdir. */
  path: string
}

/**
 * The entry of a stage whose recorded deps and params are those of now; `outs` are filled as far as they are recorded.
 * undefined when its runs cannot be told apart by what it reads, or when what it makes cannot be given back.
 */
export function runEntryOf(stage: Stage): RunEntry | undefined {
  if (stage.cmd === undefined || stage.alwaysChanged || stage.deps.length === 0 || stage.outs.length === 0) return undefined
  if (stage.deps.some((dep) => dep.source !== undefined || path.isAbsolute(dep.path) || !dep.recorded)) return undefined
  if (stage.outs.some((out) => out.persist || (!out.cache && out.metric === undefined && out.plot === undefined)))
    return undefined
  if (stage.params.some((params) => params.recorded === undefined || namesSize(params.recorded))) return undefined
  return {
    cmd: stage.cmd,
    deps: rowsOf(stage.deps),
    params: new Map(stage.params.map((params) => [params.def, params.recorded ?? {}])),
    outs: rowsOf(stage.outs),
  }
}

/**
 * dvc leaves every key named `size` or `nfiles` out of the hash, also a param of that name, and so restores what another
 * value of it made. Hashing them would give files that dvc reads under another key; so such stages always run.
 */
function namesSize(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(namesSize)
  const entries = mappingOf(value)
  return entries !== undefined && [...entries].some(([key, entry]) => key === 'size' || key === 'nfiles' || namesSize(entry))
}

const rowsOf = (entries: ReadonlyArray<{ def: string; recorded?: Recorded }>): RunRow[] =>
  entries.map(({ def, recorded }) => ({ path: def, ...recorded })).toSorted((a, b) => compareCodePoints(a.path, b.path))

/** 64 hex digits: what was read, and the names of what was made. */
export const runKey = (entry: RunEntry): string => sha256({ ...hashed(entry), outs: entry.outs.map((out) => out.path) })

/** 64 hex digits: what was read and what was made. */
export const runValue = (entry: RunEntry): string =>
  sha256({ ...hashed(entry), outs: entry.outs.map((out) => rowValue(out, false)) })

function hashed({ cmd, deps, params }: RunEntry): Record<string, YamlValue> {
  return {
    cmd,
    deps: deps.map((dep) => rowValue(dep, false)),
    ...(params.size > 0 && { params: params as ReadonlyMap<string, YamlValue> }),
  }
}

function rowValue({ path: name, digest, size, nfiles, isexec }: RunRow, withSizes: boolean): YamlValue {
  return {
    path: name,
    ...(digest !== undefined && !isLegacy(digest) && { hash: 'md5' }),
    ...(digest !== undefined && { md5: digestText(digest) }),
    ...(withSizes && size !== undefined && { size }),
    ...(withSizes && nfiles !== undefined && { nfiles }),
    ...(isexec && { isexec: true }),
  }
}

const sha256 = (value: YamlValue): string => createHash('sha256').update(pythonJson(value)).digest('hex')

/** As Python's `json.dumps(value, sort_keys=True)` writes it. */
function pythonJson(value: unknown): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return asciiJson(value)
  if (isNumber(value))
    return numberText(value)
      .replace(/^(-?)inf$/, '$1Infinity')
      .replace('nan', 'NaN')
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  const entries = [...(mappingOf(value) ?? [])].toSorted((a, b) => compareCodePoints(a[0], b[0]))
  return `{${entries.map(([key, entry]) => `${asciiJson(key)}: ${pythonJson(entry)}`).join(', ')}}`
}

/** Files a run that is over. Every out of the entry must be recorded and in the cache. */
export function saveRun(cacheDir: string, entry: RunEntry): void {
  const folder = folderOfRun(cacheDir, entry)
  makeFolders(folder)
  const { cmd, params } = hashed(entry)
  const text = writeYaml({
    cmd: cmd ?? '',
    deps: entry.deps.map((dep) => rowValue(dep, true)),
    ...(params !== undefined && { params }),
    outs: entry.outs.map((out) => rowValue(out, true)),
  })
  writeFileAtomic(path.join(folder, runValue(entry)), text)
}

/** What the latest run of this entry made, by the outs' paths as written in the stage; undefined when there was none. */
export function findRun(cacheDir: string, entry: RunEntry): ReadonlyMap<string, Recorded> | undefined {
  const folder = folderOfRun(cacheDir, entry)
  for (const file of latestFirst(folder)) {
    const made = parseRun(readFileSync(file, 'utf8'))?.made
    if (made && entry.outs.every((out) => made.has(out.path))) return made
    // Unreadable: cut short by a crash of a tool that does not write atomically. Without it the run is simply done again.
    rmSync(file, { force: true })
  }
  return undefined
}

function folderOfRun(cacheDir: string, entry: RunEntry): string {
  const key = runKey(entry)
  return path.join(cacheDir, 'runs', key.slice(0, 2), key)
}

function latestFirst(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^[0-9a-f]{64}$/.test(name))
      .map((name) => path.join(folder, name))
      .map((file) => ({ file, time: lstatSync(file).mtimeMs }))
      .toSorted((a, b) => b.time - a.time)
      .map(({ file }) => file)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return []
    throw error
  }
}

/**
 * What a run of one of these stages made that may be sent where the stage's outs are sent: by its command and its outs' names the
 * entry is known to be the stage's. Nothing for any other run, and for an entry that cannot be read.
 */
export function madeBy(entry: Uint8Array, stages: readonly Stage[]): Digest[] {
  const run = parseRun(Buffer.from(entry).toString('utf8'))
  const isRunOf = ({ cmd, outs }: Stage) =>
    isDeepStrictEqual(cmd, run?.cmd) && outs.length === run?.made.size && outs.every((out) => run.made.has(out.def))
  const outs = stages.find(isRunOf)?.outs ?? []
  return outs.filter((out) => out.push && out.remote === undefined).flatMap((out) => run?.made.get(out.def)?.digest ?? [])
}

function parseRun(text: string): { cmd: unknown; made: Map<string, Recorded> } | undefined {
  try {
    const node = readYaml(text, 'runs')
    const run = node && mappingOf(plainValue(node))
    const outs = run?.get('outs')
    if (!Array.isArray(outs)) return undefined
    const rows = outs.map((row: unknown) => recordedOf(mappingOf(row) ?? new Map()))
    return rows.every((row) => row !== undefined) ? { cmd: run?.get('cmd'), made: new Map(rows) } : undefined
  } catch (error) {
    if (isCode(error, 'STAGE_FILE_INVALID', 'BAD_DIGEST')) return undefined
    throw error
  }
}

function recordedOf(row: ReadonlyMap<string, unknown>): [string, Recorded] | undefined {
  const [name, md5, size, nfiles] = [row.get('path'), String(row.get('md5')), row.get('size'), row.get('nfiles')]
  if (typeof name !== 'string') return undefined
  const digest = makeDigest(md5.replace(/\.dir$/, ''), { tree: md5.endsWith('.dir'), legacy: row.get('hash') !== 'md5' })
  return [
    name,
    {
      digest,
      ...(typeof size === 'number' && { size }),
      ...(typeof nfiles === 'number' && isTree(digest) && { nfiles }),
      ...(row.get('isexec') === true && { isexec: true }),
    },
  ]
}

/** The stage with what a former run made recorded for its outs. */
export function withMade(stage: Stage, made: ReadonlyMap<string, Recorded>): Stage {
  return { ...stage, outs: stage.outs.map((out): Out => withRecorded(out, made.get(out.def))) }
}

function withRecorded(out: Out, recorded: Recorded | undefined): Out {
  return recorded === undefined ? out : { ...out, recorded }
}
