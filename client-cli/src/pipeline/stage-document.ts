import { recordedEntries } from './stage-entry.ts'
import { folderOf, relativeTo } from './stage-path.ts'
import type { Dep, MetricSpec, Out, Stage } from './stage.ts'
import { entriesOf, type YamlValue } from './yaml-text.ts'

/** A `.dvc` file's content, keys in the order they are written in. */
export type StageDocument = Map<string, YamlValue>

/** The content of a stage's `.dvc` file: today's order for `data`, alphabetical with every flag for `legacy`. */
export function dumpStage(stage: Stage): StageDocument {
  return stage.kind === 'legacy' ? dumpLegacy(stage) : dumpData(stage)
}

function dumpData(stage: Stage): StageDocument {
  const wdir = relativeTo(folderOf(stage.file), stage.wdir)
  return present([
    ['desc', stage.desc],
    ['md5', stage.md5],
    ['wdir', wdir === '.' ? undefined : wdir],
    ['frozen', stage.frozen || undefined],
    ['deps', stage.deps.length > 0 ? stage.deps.map(dumpDep) : undefined],
    ['outs', stage.outs.length > 0 ? stage.outs.map(dumpOut) : undefined],
    ['always_changed', stage.alwaysChanged || undefined],
    ...Object.entries(stage.extra ?? {}),
  ])
}

function dumpDep(dep: Dep): StageDocument {
  const { fs_config, files, repo: _repo, size, nfiles, version_id, hash, ...rest } = dep.extra ?? {}
  return present([
    ...recordedBeforeHash(dep, files),
    ['etag', dep.source?.etag],
    ['checksum', dep.source?.checksum],
    ['size', size],
    ['nfiles', nfiles],
    ['version_id', version_id],
    ['hash', recordedEntries(dep.recorded).get('hash') ?? hash],
    ['path', dep.def],
    ['fs_config', fs_config],
    ['files', files],
    ['repo', dep.source?.repo],
    ...Object.entries(rest),
  ])
}

function dumpOut(out: Out): StageDocument {
  const { etag, checksum, version_id, cloud, fs_config, type, labels, meta, files, ...rest } = out.extra ?? {}
  return present([
    ...recordedBeforeHash(out, files),
    ['etag', etag],
    ['checksum', checksum],
    ['version_id', version_id],
    ['cloud', cloud],
    ['hash', out.recorded ? recordedEntries(out.recorded).get('hash') : 'md5'],
    ['path', out.def],
    ['fs_config', fs_config],
    ['desc', out.desc],
    ['type', type],
    ['labels', labels],
    ['meta', meta],
    ['cache', out.cache ? undefined : false],
    ['persist', out.persist || undefined],
    ['remote', out.remote],
    ['push', out.push ? undefined : false],
    ['files', files],
    ...Object.entries(rest),
  ])
}

function recordedBeforeHash(entry: Dep | Out, files: unknown): Array<readonly [string, YamlValue]> {
  return [...recordedEntries(entry.recorded, files)].filter(([key]) => key !== 'hash')
}

function dumpLegacy(stage: Stage): StageDocument {
  return sorted([
    ['always_changed', stage.alwaysChanged || undefined],
    ['cmd', stage.cmd],
    ['deps', stage.deps.length > 0 ? stage.deps.map(dumpLegacyDep) : undefined],
    ['desc', stage.desc],
    ['locked', stage.frozen || undefined],
    ['md5', stage.md5],
    ['outs', stage.outs.length > 0 ? stage.outs.map(dumpLegacyOut) : undefined],
    ['wdir', relativeTo(folderOf(stage.file), stage.wdir)],
    ...Object.entries(stage.extra ?? {}),
  ])
}

function dumpLegacyDep(dep: Dep): StageDocument {
  return sorted([
    ...recordedEntries(dep.recorded, dep.extra?.['files']),
    ['path', dep.def],
    ['repo', dep.source?.repo],
    ['etag', dep.source?.etag],
    ['checksum', dep.source?.checksum],
    ...Object.entries(dep.extra ?? {}),
  ])
}

function dumpLegacyOut(out: Out): StageDocument {
  return sorted([
    ['cache', out.cache],
    ['desc', out.desc],
    ...recordedEntries(out.recorded, out.extra?.['files']),
    ['metric', dumpMetric(out.metric)],
    ['path', out.def],
    ['persist', out.persist || undefined],
    ['plot', out.plot && (Object.keys(out.plot).length === 0 ? true : out.plot)],
    ['push', out.push ? undefined : false],
    ['remote', out.remote],
    ...Object.entries(out.extra ?? {}),
  ])
}

function dumpMetric(metric: MetricSpec | undefined): YamlValue {
  if (metric === undefined) return false
  const { type, xpath } = metric
  return type === undefined && xpath === undefined
    ? true
    : present([
        ['type', type],
        ['xpath', xpath],
      ])
}

function present(entries: ReadonlyArray<readonly [string, unknown]>): StageDocument {
  return new Map(entries.filter(([, value]) => value !== undefined)) as StageDocument
}

const sorted = (entries: ReadonlyArray<readonly [string, unknown]>): StageDocument =>
  present(entries.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))

/**
 * True for a file as DVC 0.x to 2.x wrote it: with a command, with the flags that only those wrote, or with the flags that
 * today's DVC leaves out.
 */
export function isLegacyDocument(document: unknown): boolean {
  const fields = new Map(entriesOf(document))
  if (fields.has('cmd') || fields.get('wdir') === '.') return true
  const outs = fields.get('outs')
  return Array.isArray(outs) && outs.some((out) => isLegacyOut(new Map(entriesOf(out))))
}

const isLegacyOut = (out: ReadonlyMap<unknown, unknown>): boolean =>
  ['metric', 'plot', 'tags'].some((key) => out.has(key)) || out.get('cache') === true || out.get('persist') === false
