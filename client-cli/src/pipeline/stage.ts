import type { Digest } from '@cairn/protocol/digest'

/**
 * A stage as every part of the CLI sees it, whichever file it was written in. All paths are relative to the repository's
 * root, with `/`, normalised; paths outside of it are absolute; urls stay urls.
 */
export interface Stage {
  /** What a person calls it: `load.dvc`, `train`, `sub/dvc.yaml:train`. */
  address: string
  /** Its file, root-relative: `load.dvc`, `dvc.yaml`. */
  file: string
  /** The name inside dvc.yaml; undefined for a `.dvc` file. */
  name?: string
  /**
   * `data`: a .dvc file without a command (today's, or a 2.x one). `legacy`: a 2019 file (0.x–2.x), which may hold a command.
   * `pipeline`: an entry of dvc.yaml + dvc.lock.
   */
  kind: 'data' | 'legacy' | 'pipeline'
  cmd?: string | readonly string[]
  /** Where the command runs, root-relative; '' is the root. */
  wdir: string
  deps: readonly Dep[]
  params: readonly ParamsDep[]
  outs: readonly Out[]
  frozen: boolean
  alwaysChanged: boolean
  /** The checksum of the stage that some files carry. */
  md5?: string
  desc?: string
  /** pipeline: the command that dvc.lock recorded, undefined when the stage was never run. */
  lockedCmd?: string | readonly string[]
  /** Keys that Cairn does not use (`meta`, …), kept as they are. */
  extra?: Readonly<Record<string, unknown>>
  /** Made from a template (`foreach`, `matrix`, `${…}`): its definition in the file is not its own, and no command edits it. */
  template?: StageTemplate
}

export interface StageTemplate {
  /** The `foreach` or `matrix` that it is one of: `train` of `train@us`. */
  group?: string
  /** What it took from params files, root-relative: key (`train.lr`) to value. */
  used: ReadonlyMap<string, ReadonlyMap<string, unknown>>
}

/** What the last run saw or made: the recorded content of a dep or out. */
export interface Recorded {
  digest: Digest
  /** Bytes; for a directory the sum of its files. */
  size?: number
  nfiles?: number
  isexec?: boolean
}

export interface Dep {
  path: string
  /** As written in the file, relative to wdir. */
  def: string
  recorded?: Recorded
  /** `import` and `import-url`: where it comes from; the entry's other keys, kept as they are. */
  source?: { url?: string; etag?: string; checksum?: string; repo?: Record<string, unknown> }
  extra?: Readonly<Record<string, unknown>>
}

/** Tracked keys of one params file; no keys: the whole file. */
export interface ParamsDep {
  path: string
  def: string
  keys: readonly string[]
  /** Key to value, as dvc.lock recorded it. */
  recorded?: Readonly<Record<string, unknown>>
}

export interface MetricSpec {
  type?: 'raw' | 'json' | 'csv' | 'tsv' | 'hcsv' | 'htsv'
  xpath?: string
}

export interface Out {
  path: string
  def: string
  recorded?: Recorded
  cache: boolean
  persist: boolean
  /** undefined: not a metric. */
  metric?: MetricSpec
  plot?: Readonly<Record<string, unknown>>
  remote?: string
  push: boolean
  desc?: string
  extra?: Readonly<Record<string, unknown>>
}

/**
 * How an out is linked when nothing is configured. `stage`, by hard link: the outs of 2019 stages, as DVC 0.x did. `data`, by copy:
 * added data, files that Git keeps, and the outs of dvc.yaml, as DVC 3 does. A command of today may copy an input with its mode
 * and then write to the copy, which a read-only link forbids.
 */
export function linkKindOf(stage: Stage, out: Out): 'stage' | 'data' {
  return stage.kind === 'legacy' && stage.cmd !== undefined && out.cache ? 'stage' : 'data'
}
