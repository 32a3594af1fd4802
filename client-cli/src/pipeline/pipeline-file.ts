import { compareCodePoints } from '@cairn/protocol/tree'
import { type Field, type FieldReader, isNull, readFields, rootField } from './field-reader.ts'
import type { LockedStage, LockFile } from './lock-file.ts'
import { type OutKind, outsOf } from './pipeline-outs.ts'
import { checkPipeline } from './pipeline-schema.ts'
import { folderOf, isUrl, locate, locateDep } from './stage-path.ts'
import type { Dep, Out, ParamsDep, Stage, StageTemplate } from './stage.ts'
import { unescapedNode } from './template-marks.ts'
import { readYaml } from './yaml-read.ts'

/** dvc.yaml: its stages, and the files that it names at its top, root-relative. */
export interface PipelineFile {
  stages: Stage[]
  params: string[]
  metrics: string[]
  plots: Array<{ id: string; properties: unknown }>
  /** By name: `path` as written, `desc`, `type`, `labels`, `meta`. */
  artifacts: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  /** Each with `name` and `type`; the other keys depend on the type. */
  datasets: ReadonlyArray<Readonly<Record<string, unknown>>>
}

export const NO_PIPELINE: Omit<PipelineFile, 'stages'> = {
  params: [],
  metrics: [],
  plots: [],
  artifacts: new Map(),
  datasets: [],
}

/** One stage as it stands in dvc.yaml, or as a template in it stands for. */
export interface Definition {
  name: string
  field: Field
  template?: StageTemplate
}

/** dvc.yaml as text that is checked, with its templates as they are. */
export interface PipelineText {
  file: string
  /** Its sections; empty for a file without content. */
  top: ReadonlyMap<string, Field>
  reader: FieldReader
}

/** @throws CairnError STAGE_FILE_INVALID naming file, key and line */
export function readPipeline(text: string, file: string): PipelineText {
  const node = readYaml(text, file)
  const reader = readFields(file)
  if (node === undefined) return { file, top: new Map(), reader }
  if (node.kind !== 'map') throw reader.fail('expected a mapping', { node, trail: [] })
  const root = rootField(node)
  checkPipeline(root, reader)
  return { file, top: reader.map(root), reader }
}

/** The stages of a text without templates. */
export function definitionsOf({ top, reader }: PipelineText): Definition[] {
  const stages = top.get('stages')
  return stages ? [...reader.map(stages)].map(([name, field]) => ({ name, field })) : []
}

/** The definition with what `\${` stands for. */
export const withoutEscapes = ({ field, ...rest }: Definition): Definition => ({
  ...rest,
  field: { ...field, node: unescapedNode(field.node) },
})

/**
 * The pipeline whose stages are given, each joined with what dvc.lock recorded of it.
 * @throws CairnError STAGE_FILE_INVALID
 */
export function pipelineOf({ file, top, reader }: PipelineText, stages: readonly Definition[], lock?: LockFile): PipelineFile {
  const folder = folderOf(file)
  const plain = (field: Field) => reader.plain(field) as Record<string, unknown>
  const artifacts = top.get('artifacts')
  return {
    stages: stages.map((definition) => stageOf(definition, file, lock?.stages.get(definition.name), reader)),
    params: reader.list(top.get('params')).map((each) => locate(folder, textOf(each, reader))),
    metrics: reader.list(top.get('metrics')).map((each) => locate(folder, textOf(each, reader))),
    plots: reader.list(top.get('plots')).flatMap((each) => plotsOf(each, folder, reader)),
    artifacts: new Map(artifacts && [...reader.map(artifacts)].map(([name, field]) => [name, plain(field)])),
    datasets: reader.list(top.get('datasets')).map(plain),
  }
}

/**
 * Parses a dvc.yaml without templates. One that may hold some is loaded by load.ts.
 * @throws CairnError STAGE_FILE_INVALID
 */
export function parsePipeline(text: string, file: string, lock: LockFile | undefined): PipelineFile {
  const read = readPipeline(text, file)
  return pipelineOf(read, definitionsOf(read).map(withoutEscapes), lock)
}

export const parsePipelineFile = (text: string, file: string, lock: LockFile | undefined): Stage[] =>
  parsePipeline(text, file, lock).stages

export function textOf(field: Field, reader: FieldReader): string {
  const text = reader.text(field)
  if (text === undefined) throw reader.fail('expected str', field)
  return text
}

function plotsOf(field: Field, folder: string, reader: FieldReader): PipelineFile['plots'] {
  if (field.node.kind === 'scalar') return [{ id: locate(folder, textOf(field, reader)), properties: null }]
  return [...reader.map(field)].map(([id, properties]) => ({ id: locate(folder, id), properties: reader.plain(properties) }))
}

export function stageOf(
  { name, field, template }: Definition,
  file: string,
  locked: LockedStage | undefined,
  reader: FieldReader,
): Stage {
  const fields = reader.map(field)
  const wdir = wdirOf(fields.get('wdir'), file, reader)
  const desc = reader.text(fields.get('desc'))
  const meta = fields.get('meta')
  return {
    address: file === 'dvc.yaml' ? name : `${file}:${name}`,
    file,
    name,
    kind: 'pipeline',
    cmd: commandOf(fields.get('cmd'), field, reader),
    wdir,
    deps: depsOf(fields.get('deps'), wdir, locked, reader),
    params: paramsOf(fields.get('params'), wdir, locked, reader),
    outs: allOuts(fields, wdir, locked, reader),
    frozen: reader.flag(fields.get('frozen')) ?? false,
    alwaysChanged: reader.flag(fields.get('always_changed')) ?? false,
    ...(desc !== undefined && { desc }),
    ...(locked?.cmd !== undefined && { lockedCmd: locked.cmd }),
    ...(meta && !isNull(meta) && { extra: { meta: reader.plain(meta) } }),
    ...(template && { template }),
  }
}

function wdirOf(field: Field | undefined, file: string, reader: FieldReader): string {
  const def = reader.text(field) ?? '.'
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
        const tracked = track(name, each)
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
