import { type Field, type FieldReader, isNull, readFields, rootField } from './field-reader.ts'
import { editYaml } from './yaml-edit.ts'
import { dumpStage, isLegacyDocument } from './stage-document.ts'
import { METRIC_TYPES } from './metric-value.ts'
import { CONTENT_KEYS, restOf, takeRecorded } from './stage-entry.ts'
import { folderOf, isUrl, locate, locateDep, locateOut } from './stage-path.ts'
import type { Dep, MetricSpec, Out, Stage } from './stage.ts'
import { display, plainValue, readYaml } from './yaml-read.ts'
import { writeYaml } from './yaml-text.ts'
import { CairnError } from '@cairn/protocol/error'

const STAGE_KEYS = new Set(['cmd', 'md5', 'wdir', 'deps', 'outs', 'frozen', 'locked', 'desc', 'meta', 'always_changed'])
const DEP_KEYS = new Set([...CONTENT_KEYS, 'fs_config', 'repo', 'db', 'params'])
const OUT_KEYS = new Set([
  ...CONTENT_KEYS,
  ...['fs_config', 'desc', 'type', 'labels', 'meta', 'cache', 'persist', 'remote', 'push', 'metric', 'plot', 'tags'],
])
/** They stay in a file when its stage is made anew, by `add` or `run`. */
const WRITTEN_BY_PEOPLE = new Set(['desc', 'meta', 'type', 'labels', 'remote', 'push', 'fs_config', 'tags'])

/**
 * Parses a `.dvc` file of any age. An empty file is a stage without anything.
 * @throws CairnError STAGE_FILE_INVALID, one line with file, key and place
 */
export function parseStageFile(text: string, file: string): Stage {
  const node = readYaml(text, file)
  const reader = readFields(file)
  if (node === undefined)
    return {
      address: file,
      file,
      kind: 'data',
      wdir: folderOf(file),
      deps: [],
      params: [],
      outs: [],
      frozen: false,
      alwaysChanged: false,
    }
  if (node.kind !== 'map') throw reader.fail('expected a mapping', { node, trail: [] })
  const fields = reader.map(rootField(node))
  reader.only(fields, STAGE_KEYS)
  const legacy = isLegacyDocument(plainValue(node))
  const wdir = wdirOf(fields.get('wdir'), file, reader)
  const cmd = commandOf(fields.get('cmd'), reader)
  const md5 = reader.text(fields.get('md5'))
  const desc = reader.text(fields.get('desc'))
  const meta = fields.get('meta')
  return {
    address: file,
    file,
    kind: legacy ? 'legacy' : 'data',
    ...(cmd !== undefined && { cmd }),
    wdir,
    deps: reader.list(fields.get('deps')).map((each) => depOf(each, wdir, cmd === undefined, reader)),
    params: [],
    outs: distinct(
      reader.list(fields.get('outs')).map((each) => outOf(each, wdir, reader)),
      file,
    ),
    frozen: reader.flag(fields.get('frozen')) ?? reader.flag(fields.get('locked')) ?? false,
    alwaysChanged: reader.flag(fields.get('always_changed')) ?? false,
    ...(md5 !== undefined && { md5: md5.toLowerCase() }),
    ...(desc !== undefined && { desc }),
    ...(meta !== undefined && !isNull(meta) && { extra: { meta: reader.plain(meta) } }),
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

function commandOf(field: Field | undefined, reader: FieldReader): string | readonly string[] | undefined {
  if (field?.node.kind !== 'seq') return reader.text(field)
  return reader.list(field).map((each) => reader.text(each) ?? '')
}

/** Without a command, a dependency is where the output was imported from. */
function depOf(field: Field, wdir: string, imports: boolean, reader: FieldReader): Dep {
  const fields = reader.map(field)
  reader.only(fields, DEP_KEYS)
  const def = required(fields, 'path', field, reader)
  const repo = fields.get('repo')
  const etag = reader.text(fields.get('etag'))
  const checksum = reader.text(fields.get('checksum'))
  const imported = repo !== undefined || isUrl(def) || imports
  const rest = new Map(fields)
  const recorded = takeRecorded(rest, reader)
  for (const key of ['path', 'repo', 'etag', 'checksum']) rest.delete(key)
  const extra = restOf(rest, reader)
  return {
    // The path of an import from another repository is a path in there.
    path: repo ? def : locateDep(wdir, def, field, reader),
    def,
    ...(recorded && { recorded }),
    ...(imported && {
      source: {
        ...(repo ? { repo: reader.plain(repo) as Record<string, unknown> } : { url: def }),
        ...(etag !== undefined && { etag }),
        ...(checksum !== undefined && { checksum }),
      },
    }),
    ...(extra && { extra }),
  }
}

function outOf(field: Field, wdir: string, reader: FieldReader): Out {
  const fields = reader.map(field)
  reader.only(fields, OUT_KEYS)
  const def = required(fields, 'path', field, reader)
  const metric = metricOf(fields.get('metric'), reader)
  const plot = plotOf(fields.get('plot'), reader)
  const remote = reader.text(fields.get('remote'))
  const desc = reader.text(fields.get('desc'))
  const cache = reader.flag(fields.get('cache')) ?? true
  const persist = reader.flag(fields.get('persist')) ?? false
  const push = reader.flag(fields.get('push')) ?? true
  const rest = new Map(fields)
  const recorded = takeRecorded(rest, reader)
  for (const key of ['path', 'metric', 'plot', 'remote', 'desc', 'cache', 'persist', 'push', 'hash']) rest.delete(key)
  const extra = restOf(rest, reader)
  return {
    path: locateOut(wdir, def, fields.get('path') ?? field, reader),
    def,
    ...(recorded && { recorded }),
    cache,
    persist,
    ...(metric && { metric }),
    ...(plot && { plot }),
    ...(remote !== undefined && { remote }),
    push,
    ...(desc !== undefined && { desc }),
    ...(extra && { extra }),
  }
}

function required(fields: ReadonlyMap<string, Field>, key: string, owner: Field, reader: FieldReader): string {
  const text = reader.text(fields.get(key))
  if (text === undefined) throw reader.fail(`required key '${key}' not provided`, owner)
  return text
}

function metricOf(field: Field | undefined, reader: FieldReader): MetricSpec | undefined {
  if (field === undefined || isNull(field)) return undefined
  if (field.node.kind === 'scalar') return reader.flag(field) ? {} : undefined
  const fields = reader.map(field)
  reader.only(fields, new Set(['type', 'xpath']))
  const named = reader.text(fields.get('type'))?.toLowerCase()
  const type = METRIC_TYPES.find((known) => known === named)
  if (named !== undefined && type === undefined)
    throw reader.fail(`'${named}' is no type of metric (${METRIC_TYPES.join(', ')})`, field)
  const xpath = reader.text(fields.get('xpath'))
  return { ...(type && { type }), ...(xpath !== undefined && { xpath }) }
}

function plotOf(field: Field | undefined, reader: FieldReader): Record<string, unknown> | undefined {
  if (field === undefined || isNull(field)) return undefined
  if (field.node.kind === 'scalar') return reader.flag(field) ? {} : undefined
  reader.map(field)
  return reader.plain(field) as Record<string, unknown>
}

function distinct(outs: Out[], file: string): Out[] {
  const paths = new Set<string>()
  for (const out of outs) {
    if (paths.has(out.path))
      throw new CairnError(
        'STAGE_FILE_INVALID',
        `${display(file)} validation failed: file '${out.path}' is specified more than once`,
      )
    paths.add(out.path)
  }
  return outs
}

/**
 * The text of a `.dvc` file. With the text that stands there now, its comments, order of keys and unknown keys survive, and
 * it is returned unchanged when the stage says the same. `stage.md5` is written as it is: see `stageMd5`.
 */
export function serializeStageFile(stage: Stage, previous?: string): string {
  const document = dumpStage(stage)
  if (previous === undefined || readYaml(previous, stage.file) === undefined) return writeYaml(document)
  return editYaml(previous, document, stage.file, { sorted: stage.kind === 'legacy', kept: WRITTEN_BY_PEOPLE })
}
