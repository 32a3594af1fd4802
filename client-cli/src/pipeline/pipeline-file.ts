import { compareCodePoints } from '@cairn/protocol/tree'
import { type Field, type FieldReader, isNull, readFields, rootField } from './field-reader.ts'
import type { LockedStage, LockFile } from './lock-file.ts'
import { dumpDefinition } from './pipeline-document.ts'
import { type OutKind, outsOf } from './pipeline-outs.ts'
import { folderOf, isUrl, locate, locateDep, relativeTo } from './stage-path.ts'
import type { Dep, Out, ParamsDep, Stage } from './stage.ts'
import { editYaml } from './yaml-edit.ts'
import { readYaml, valueOf } from './yaml-read.ts'
import { entriesOf, writeYaml, type YamlValue } from './yaml-text.ts'
import { isDeepStrictEqual } from 'node:util'

/** dvc.yaml: its stages, and the files that it names at its top, root-relative. */
export interface PipelineFile {
  stages: Stage[]
  params: string[]
  metrics: string[]
  plots: Array<{ id: string; properties: unknown }>
}

const TOP_KEYS = new Set(['vars', 'stages', 'params', 'metrics', 'plots', 'artifacts', 'datasets'])
const STAGE_KEYS = new Set([
  'cmd',
  'wdir',
  'deps',
  'params',
  'vars',
  'outs',
  'metrics',
  'plots',
  'frozen',
  'always_changed',
  'desc',
  'meta',
])

/**
 * Parses dvc.yaml and joins each stage with what dvc.lock recorded of it. `readText` reads a file beside it, root-relative.
 * @throws CairnError STAGE_FILE_INVALID
 */
export function parsePipeline(
  text: string,
  file: string,
  lock: LockFile | undefined,
  _readText: (path: string) => string | undefined,
): PipelineFile {
  const node = readYaml(text, file)
  const reader = readFields(file)
  if (node === undefined) return { stages: [], params: [], metrics: [], plots: [] }
  if (node.kind !== 'map') throw reader.fail('expected a mapping', { node, trail: [] })
  const top = reader.map(rootField(node))
  reader.only(top, TOP_KEYS)
  const folder = folderOf(file)
  return {
    stages: definitionsOf(top, reader).map(([name, definition]) =>
      stageOf(name, definition, file, lock?.stages.get(name), reader),
    ),
    params: reader.list(top.get('params')).map((each) => locate(folder, textOf(each, reader))),
    metrics: reader.list(top.get('metrics')).map((each) => locate(folder, textOf(each, reader))),
    plots: reader.list(top.get('plots')).flatMap((each) => plotsOf(each, folder, reader)),
  }
}

export const parsePipelineFile = (
  text: string,
  file: string,
  lock: LockFile | undefined,
  readText: (path: string) => string | undefined,
): Stage[] => parsePipeline(text, file, lock, readText).stages

/** Name and definition of every stage. Templates, which make several of one, are refused by name. */
function definitionsOf(top: ReadonlyMap<string, Field>, reader: FieldReader): Array<[string, Field]> {
  const stages = top.get('stages')
  if (stages === undefined || isNull(stages)) return []
  const vars = top.get('vars')
  if (vars) throw reader.fail(`'vars' is not supported yet`, vars)
  return [...reader.map(stages)].map(([name, definition]) => {
    const fields = reader.map(definition)
    for (const key of ['foreach', 'matrix', 'vars']) {
      const field = fields.get(key)
      if (field) throw reader.fail(`'${key}' is not supported yet`, field)
    }
    refuseTemplates(definition, reader)
    return [name, definition]
  })
}

function refuseTemplates(field: Field, reader: FieldReader): void {
  const { node, trail } = field
  if (node.kind === 'scalar') {
    if (/(?<!\\)\$\{/.test(node.source)) throw reader.fail('interpolation with ${…} is not supported yet', field)
    return
  }
  const children =
    node.kind === 'seq'
      ? node.nodes.map((each, index) => [String(index), each] as const)
      : node.entries.map((each) => [each.name, each.node] as const)
  for (const [name, child] of children) {
    if (/(?<!\\)\$\{/.test(name)) throw reader.fail('interpolation with ${…} is not supported yet', field)
    refuseTemplates({ node: child, trail: [...trail, name] }, reader)
  }
}

/** `\${` stands for `${`. */
const unescaped = (text: string): string => text.replaceAll('\\${', '${')

function textOf(field: Field, reader: FieldReader): string {
  const text = reader.text(field)
  if (text === undefined) throw reader.fail('expected str', field)
  return unescaped(text)
}

function plotsOf(field: Field, folder: string, reader: FieldReader): PipelineFile['plots'] {
  if (field.node.kind === 'scalar') return [{ id: locate(folder, textOf(field, reader)), properties: null }]
  return [...reader.map(field)].map(([id, properties]) => ({ id: locate(folder, id), properties: reader.plain(properties) }))
}

function stageOf(name: string, definition: Field, file: string, locked: LockedStage | undefined, reader: FieldReader): Stage {
  const fields = reader.map(definition)
  reader.only(fields, STAGE_KEYS)
  const wdir = wdirOf(fields.get('wdir'), file, reader)
  const desc = reader.text(fields.get('desc'))
  const meta = fields.get('meta')
  return {
    address: file === 'dvc.yaml' ? name : `${file}:${name}`,
    file,
    name,
    kind: 'pipeline',
    cmd: commandOf(fields.get('cmd'), definition, reader),
    wdir,
    deps: depsOf(fields.get('deps'), wdir, locked, reader),
    params: paramsOf(fields.get('params'), wdir, locked, reader),
    outs: allOuts(fields, wdir, locked, reader),
    frozen: reader.flag(fields.get('frozen')) ?? false,
    alwaysChanged: reader.flag(fields.get('always_changed')) ?? false,
    ...(desc !== undefined && { desc }),
    ...(locked?.cmd !== undefined && { lockedCmd: locked.cmd }),
    ...(meta && !isNull(meta) && { extra: { meta: reader.plain(meta) } }),
  }
}

function wdirOf(field: Field | undefined, file: string, reader: FieldReader): string {
  const def = unescaped(reader.text(field) ?? '.')
  const wdir = locate(folderOf(file), def)
  if (field && (wdir === '..' || wdir.startsWith('../') || wdir.startsWith('/') || isUrl(wdir))) {
    throw reader.fail(`the working directory '${def}' is outside of the repository`, field)
  }
  return wdir
}

function commandOf(field: Field | undefined, owner: Field, reader: FieldReader): string | readonly string[] {
  if (field === undefined || isNull(field)) throw reader.fail(`required key 'cmd' not provided`, owner)
  if (field.node.kind === 'seq') return reader.list(field).map((each) => textOf(each, reader))
  return textOf(field, reader)
}

function depsOf(field: Field | undefined, wdir: string, locked: LockedStage | undefined, reader: FieldReader): Dep[] {
  return distinct(
    reader.list(field).map((each): Dep => {
      const def = textOf(each, reader)
      const entry = locked?.deps.find(({ path }) => path === def)
      const { etag, checksum, ...extra } = entry?.extra ?? {}
      const source = { ...(typeof etag === 'string' && { etag }), ...(typeof checksum === 'string' && { checksum }) }
      return {
        path: locateDep(wdir, def, each, reader),
        def,
        ...(entry?.recorded && { recorded: entry.recorded }),
        ...(isUrl(def) && { source: { url: def, ...source } }),
        ...(Object.keys(extra).length > 0 && { extra }),
      }
    }),
    field,
    reader,
  )
}

function distinct<T extends { path: string }>(entries: T[], field: Field | undefined, reader: FieldReader): T[] {
  const paths = new Set<string>()
  for (const { path } of entries) {
    if (paths.has(path) && field) throw reader.fail(`file '${path}' is specified more than once`, field)
    paths.add(path)
  }
  return entries
}

function paramsOf(field: Field | undefined, wdir: string, locked: LockedStage | undefined, reader: FieldReader): ParamsDep[] {
  const keys = new Map<string, { keys: Set<string>; field: Field }>()
  const track = (def: string, at: Field): Set<string> => {
    const known = keys.get(def) ?? { keys: new Set<string>(), field: at }
    keys.set(def, known)
    return known.keys
  }
  for (const each of reader.list(field)) {
    if (each.node.kind === 'scalar') track('params.yaml', each).add(textOf(each, reader))
    else
      for (const [name, list] of reader.map(each)) {
        const tracked = track(unescaped(name), each)
        for (const key of reader.list(list)) tracked.add(textOf(key, reader))
      }
  }
  return [...keys].map(([def, tracked]): ParamsDep => {
    const recorded = locked?.params.find(({ path }) => path === def)?.values
    return {
      path: locateDep(wdir, def, tracked.field, reader),
      def,
      keys: [...tracked.keys].toSorted(compareCodePoints),
      ...(recorded && { recorded }),
    }
  })
}

function allOuts(fields: ReadonlyMap<string, Field>, wdir: string, locked: LockedStage | undefined, reader: FieldReader): Out[] {
  const recorded = new Map(locked?.outs.map((entry) => [entry.path, entry]))
  const kinds: OutKind[] = ['outs', 'metrics', 'plots']
  const outs = kinds.flatMap((kind) => outsOf(kind, fields.get(kind), wdir, recorded, reader))
  return distinct(outs, fields.get('outs') ?? fields.get('metrics') ?? fields.get('plots'), reader)
}

/**
 * dvc.yaml's text with the stage's definition edited in its place, or appended; unchanged when it already says the same.
 * @throws CairnError STAGE_FILE_INVALID when the text that stands there does not parse
 */
export function updatePipelineFile(previous: string | undefined, stage: Stage): string {
  if (stage.name === undefined) throw new Error(`${stage.file} has no stages by name`)
  const definition = dumpDefinition(stage)
  const node = previous === undefined ? undefined : readYaml(previous, stage.file)
  if (previous === undefined || node === undefined) return writeYaml(new Map([['stages', new Map([[stage.name, definition]])]]))
  const known = parsePipelineFile(previous, stage.file, undefined, () => undefined).find((each) => each.name === stage.name)
  if (known && isDeepStrictEqual(dumpDefinition(known), definition)) return previous
  const top = new Map(entriesOf(valueOf(node)))
  const stages = new Map(entriesOf(top.get('stages')))
  top.set('stages', stages.set(stage.name, definition) as YamlValue)
  return editYaml(previous, top, stage.file)
}

/** dvc.yaml's text with a metric file (root-relative) named at its top, or no longer; undefined when nothing is left in it. */
export function editMetricList(previous: string | undefined, file: string, metric: string, named: boolean): string | undefined {
  const def = relativeTo(folderOf(file), metric)
  const node = previous === undefined ? undefined : readYaml(previous, file)
  if (previous === undefined || node === undefined) return named ? writeYaml({ metrics: [def] }) : previous
  const top = new Map(entriesOf(valueOf(node)))
  const listed = top.get('metrics')
  const metrics = Array.isArray(listed) ? (listed as YamlValue[]) : []
  if (metrics.includes(def) === named) return previous
  const left = named ? [...metrics, def] : metrics.filter((each) => each !== def)
  if (left.length > 0) top.set('metrics', left)
  else top.delete('metrics')
  return top.size === 0 ? undefined : editYaml(previous, top, file)
}

/** dvc.yaml's text without a stage; undefined when nothing is left in it. */
export function removeFromPipelineFile(previous: string, file: string, name: string): string | undefined {
  const node = readYaml(previous, file)
  if (node === undefined) return undefined
  const top = new Map(entriesOf(valueOf(node)))
  const stages = new Map(entriesOf(top.get('stages')))
  stages.delete(name)
  if (stages.size > 0) top.set('stages', stages as YamlValue)
  else top.delete('stages')
  return top.size === 0 ? undefined : editYaml(previous, top, file)
}
