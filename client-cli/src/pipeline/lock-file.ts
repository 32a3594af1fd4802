import { compareCodePoints } from '@cairn/protocol/tree'
import { type Field, type FieldReader, readFields, rootField } from './field-reader.ts'
import { CONTENT_KEYS, recordedEntries, restOf, takeRecorded } from './stage-entry.ts'
import type { Dep, Out, Recorded, Stage } from './stage.ts'
import { readYaml } from './yaml-read.ts'
import { writeEntries, writeYaml, type YamlValue } from './yaml-text.ts'

/** dvc.lock: what the last run of each stage saw and made. */
export interface LockFile {
  stages: ReadonlyMap<string, LockedStage>
}

export interface LockedStage {
  cmd?: string | readonly string[]
  deps: readonly LockedEntry[]
  params: ReadonlyArray<{ path: string; values: Readonly<Record<string, unknown>> }>
  outs: readonly LockedEntry[]
}

export interface LockedEntry {
  /** As written, relative to the stage's wdir. */
  path: string
  recorded?: Recorded
  extra?: Readonly<Record<string, unknown>>
}

const ENTRY_KEYS = new Set([...CONTENT_KEYS, 'dataset'])

/**
 * Parses dvc.lock, today's and that of 1.x (without `schema`, stages at the top).
 * @throws CairnError STAGE_FILE_INVALID
 */
export function parseLockFile(text: string, file = 'dvc.lock'): LockFile {
  const node = readYaml(text, file)
  const reader = readFields(file)
  if (node === undefined) return { stages: new Map() }
  if (node.kind !== 'map') throw reader.fail('expected a mapping', { node, trail: [] })
  const top = reader.map(rootField(node))
  const schema = top.get('schema')
  if (schema === undefined && !top.has('stages')) return { stages: lockedStages(top, reader) }
  const version = reader.text(schema)
  if (schema && version !== '2.0') throw reader.fail(`invalid schema version '${version ?? ''}', expected '2.0'`, schema)
  reader.only(top, new Set(['schema', 'stages', 'datasets']))
  const stages = top.get('stages')
  return { stages: stages && stages.node.kind !== 'scalar' ? lockedStages(reader.map(stages), reader) : new Map() }
}

function lockedStages(fields: ReadonlyMap<string, Field>, reader: FieldReader): Map<string, LockedStage> {
  return new Map([...fields].map(([name, field]) => [name, lockedStage(field, reader)]))
}

function lockedStage(field: Field, reader: FieldReader): LockedStage {
  const fields = reader.map(field)
  reader.only(fields, new Set(['cmd', 'deps', 'params', 'outs']))
  const cmd = fields.get('cmd')
  const command = cmd?.node.kind === 'seq' ? reader.list(cmd).map((each) => reader.text(each) ?? '') : reader.text(cmd)
  const params = fields.get('params')
  return {
    ...(command !== undefined && { cmd: command }),
    deps: reader.list(fields.get('deps')).map((each) => lockedEntry(each, reader)),
    params: params ? [...reader.map(params)].map(([path, values]) => ({ path, values: paramsOf(values, reader) })) : [],
    outs: reader.list(fields.get('outs')).map((each) => lockedEntry(each, reader)),
  }
}

function paramsOf(field: Field, reader: FieldReader): Record<string, unknown> {
  return Object.fromEntries([...reader.map(field)].map(([key, value]) => [key, reader.plain(value)]))
}

function lockedEntry(field: Field, reader: FieldReader): LockedEntry {
  const fields = reader.map(field)
  reader.only(fields, ENTRY_KEYS)
  const path = reader.text(fields.get('path'))
  if (path === undefined) throw reader.fail(`required key 'path' not provided`, field)
  const rest = new Map(fields)
  const recorded = takeRecorded(rest, reader)
  rest.delete('path')
  const extra = restOf(rest, reader)
  return { path, ...(recorded && { recorded }), ...(extra && { extra }) }
}

/** What dvc.lock says of a stage after its run. */
export function lockedOf(stage: Stage): LockedStage {
  const cmd = stage.lockedCmd ?? stage.cmd
  return {
    ...(cmd !== undefined && { cmd }),
    deps: stage.deps.map((dep) => ({ ...entryOf(dep), extra: { ...sourceOf(dep), ...dep.extra } })),
    params: stage.params.map((each) => ({ path: each.def, values: each.recorded ?? {} })),
    outs: stage.outs.map((out) => entryOf(out)),
  }
}

const entryOf = (entry: Dep | Out): LockedEntry => ({ path: entry.def, ...(entry.recorded && { recorded: entry.recorded }) })

const sourceOf = ({ source }: Dep): Record<string, string> => ({
  ...(source?.etag !== undefined && { etag: source.etag }),
  ...(source?.checksum !== undefined && { checksum: source.checksum }),
})

/** The entry's content, keys in the order they are written in. */
export function dumpLocked(locked: LockedStage): Map<string, YamlValue> {
  const sections: Array<[string, YamlValue | undefined]> = [
    ['cmd', locked.cmd],
    ['deps', locked.deps.length > 0 ? sortedEntries(locked.deps) : undefined],
    ['params', dumpParams(locked)],
    ['outs', locked.outs.length > 0 ? sortedEntries(locked.outs) : undefined],
  ]
  return new Map(sections.filter((section): section is [string, YamlValue] => section[1] !== undefined))
}

function sortedEntries(entries: readonly LockedEntry[]): YamlValue[] {
  return entries.toSorted((a, b) => compareCodePoints(a.path, b.path)).map(dumpEntry)
}

function dumpEntry({ path, recorded, extra = {} }: LockedEntry): Map<string, YamlValue> {
  const content = recordedEntries(recorded, extra['files'])
  const { hash = content.get('hash'), ...rest } = extra
  content.delete('hash')
  const entries = new Map<string, YamlValue>([['path', path]])
  if (hash !== undefined) entries.set('hash', hash as YamlValue)
  for (const [key, value] of content) entries.set(key, value)
  for (const [key, value] of Object.entries(rest)) entries.set(key, value as YamlValue)
  return entries
}

function dumpParams({ params }: LockedStage): Map<string, YamlValue> | undefined {
  const files = params.filter(({ values }) => Object.keys(values).length > 0)
  if (files.length === 0) return undefined
  const sorted = files.toSorted(
    (a, b) => Number(b.path === 'params.yaml') - Number(a.path === 'params.yaml') || compareCodePoints(a.path, b.path),
  )
  return new Map(
    sorted.map(({ path, values }) => [
      path,
      new Map(Object.entries(values).toSorted(([a], [b]) => compareCodePoints(a, b))) as YamlValue,
    ]),
  )
}

/** The lines of one stage's entry below `stages:`, two blanks deep. */
export function serializeLockEntry(stage: Stage): string {
  return writeEntries([[nameOf(stage), dumpLocked(lockedOf(stage))]], 2)
}

function nameOf(stage: Stage): string {
  if (stage.name === undefined) throw new Error(`${stage.file} has no entry in a lock file`)
  return stage.name
}

/**
 * dvc.lock's text with the stage's entry replaced in its place, or appended: before those of the stages in `later`, which ran
 * beside it and ended first. The other entries keep their bytes, and so does the file when the entry is the same.
 */
export function updateLockFile(previous: string | undefined, stage: Stage, later?: ReadonlySet<string>): string {
  const text = asCurrent(previous)
  const lines = splitLines(text)
  const place = findEntry(lines, nameOf(stage))
  const entry = splitLines(serializeLockEntry(stage))
  if (place) return [...lines.slice(0, place.start), ...entry, ...lines.slice(place.end)].join('')
  const end = firstEntryOf(lines, later) ?? stagesSection(lines).end
  return [...lines.slice(0, end), ...entry, ...lines.slice(end)].join('')
}

/** dvc.lock's text without a stage's entry; undefined when none is left and the file can go. */
export function removeFromLockFile(previous: string, name: string): string | undefined {
  const lines = splitLines(asCurrent(previous))
  const place = findEntry(lines, name)
  if (!place) return previous
  const rest = [...lines.slice(0, place.start), ...lines.slice(place.end)]
  const left = stagesSection(rest)
  return rest.slice(left.start, left.end).some((line) => ENTRY_HEAD.test(line)) ? rest.join('') : undefined
}

/** The text in today's layout: entries in block style, two blanks deep. Another one (of 1.x, flow style) is written anew. */
function asCurrent(previous: string | undefined): string {
  if (previous === undefined || readYamlIsEmpty(previous)) return `schema: '2.0'\nstages:\n`
  const text = previous.replace(/^\ufeff/, '').replaceAll('\r\n', '\n')
  if (
    /^schema: '2\.0'$/m.test(text) &&
    /^stages:$/m.test(text) &&
    /^stages:\n(?:\s*#.*\n)*(?: {2}\S.*:(?: \{\})?\n| {2}\? .*\n|$)/m.test(text)
  )
    return text
  const { stages } = parseLockFile(text)
  if (stages.size === 0) return `schema: '2.0'\nstages:\n`
  return writeYaml(
    new Map<string, YamlValue>([
      ['schema', '2.0'],
      ['stages', new Map([...stages].map(([name, locked]) => [name, dumpLocked(locked)]))],
    ]),
  )
}

const readYamlIsEmpty = (text: string): boolean => text.trim() === ''

const splitLines = (text: string): string[] => (text.endsWith('\n') ? text : `${text}\n`).split(/(?<=\n)/)

const ENTRY_HEAD = /^ {2}(?:[^ \n#:-]|[-:][^ \n])/

function stagesSection(lines: readonly string[]): { start: number; end: number } {
  const start = lines.indexOf('stages:\n') + 1
  const after = lines.findIndex((line, index) => index >= start && /^[^\s#]/.test(line))
  return { start, end: after < 0 ? lines.length : after }
}

/** The lines of an entry; comments in front of the next one belong to that. */
function findEntry(lines: readonly string[], name: string): { start: number; end: number } | undefined {
  const section = stagesSection(lines)
  const head = splitLines(writeEntries([[name, null]], 2))
  const start = lines.findIndex((_, index) => index >= section.start && index < section.end && isHead(lines, index, head))
  if (start < 0) return undefined
  const next = lines.findIndex((line, index) => index > start && index < section.end && ENTRY_HEAD.test(line))
  let end = next < 0 ? section.end : next
  while (next >= 0 && end > start + 1 && /^\s*(?:#.*)?\n$/.test(lines[end - 1] ?? '')) end--
  return { start, end }
}

function firstEntryOf(lines: readonly string[], names: ReadonlySet<string> = new Set()): number | undefined {
  if (names.size === 0) return undefined
  const heads = new Set([...names].map((name) => writeEntries([[name, null]], 2)))
  const first = lines.findIndex((line) => heads.has(line))
  return first < 0 ? undefined : first
}

/** A very long name has lines of its own, its colon stands on the next. */
function isHead(lines: readonly string[], at: number, head: readonly string[]): boolean {
  const [first = ''] = head
  if (head.length > 1) return head.slice(0, -1).every((line, index) => lines[at + index] === line)
  const line = lines[at] ?? ''
  return line.startsWith(first.trimEnd()) && /^\s*(?:#.*|\{\})?\n$/.test(line.slice(first.trimEnd().length))
}
