import path from 'node:path/posix'
import { readFileSync } from 'node:fs'
import { parse as parseToml } from 'smol-toml'
import { type Digest, isTree } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { FileTree } from '../repo/file-tree.ts'
import { parseJson } from './json-value.ts'
import { loadPipelines } from './load.ts'
import { float, int } from './python-value.ts'
import type { MetricSpec, Out, Stage } from './stage.ts'
import { readYaml, valueOf } from './yaml-read.ts'

/** One metric file of one revision. */
export interface MetricFile {
  /** Root-relative. */
  path: string
  /** 2019: what its stage says of it; undefined for today's metrics. */
  spec?: MetricSpec
  /** undefined: it could not be had, for this reason. */
  text?: string
  missing?: string
}

export interface RevisionMetrics {
  rev: string
  files: MetricFile[]
}

/** The metric files of a revision, `paths` only when any are given (then also files that no stage calls a metric). */
export async function collectMetrics(
  tree: FileTree,
  cache: ObjectCache,
  paths: readonly string[] = [],
): Promise<RevisionMetrics> {
  const { stages, files } = await loadPipelines(tree)
  const outs = stages.flatMap((stage) => stage.outs.map((out) => ({ stage, out })))
  const declared = [
    ...declaredBy(outs),
    ...[...files.values()].flatMap((file) => file.metrics).map((location) => ({ path: location })),
  ]
  const wanted =
    paths.length === 0 ? declared : paths.map((location) => declared.find((each) => each.path === location) ?? { path: location })
  const found: MetricFile[] = []
  for (const each of wanted) {
    if (found.some((other) => other.path === each.path)) continue
    found.push({
      ...each,
      ...(await readMetric(
        tree,
        cache,
        each.path,
        outs.map(({ out }) => out),
      )),
    })
  }
  return { rev: tree.rev, files: found }
}

function declaredBy(outs: ReadonlyArray<{ stage: Stage; out: Out }>): Array<{ path: string; spec?: MetricSpec }> {
  return outs.flatMap(({ stage, out }) => {
    if (!out.metric) return []
    return [{ path: out.path, ...(stage.kind === 'legacy' && { spec: out.metric }) }]
  })
}

async function readMetric(
  tree: FileTree,
  cache: ObjectCache,
  location: string,
  outs: readonly Out[],
): Promise<{ text: string } | { missing: string }> {
  const bytes = await tree.read(location)
  if (bytes) return { text: bytes.toString('utf8') }
  if (tree.rev === 'workspace') return { missing: `[Errno 2] No such file or directory: '${location}'` }
  const out = outs.find((each) => each.path === location || location.startsWith(`${each.path}/`))
  const recorded = out?.recorded?.digest
  if (!out || !recorded) return { missing: `'${location}' is not in revision '${tree.rev}'` }
  return (
    readCached(cache, recorded, location.slice(out.path.length + 1)) ?? {
      missing: `'${location}' of '${tree.rev}' is not in the cache`,
    }
  )
}

function readCached(cache: ObjectCache, recorded: Digest, inside: string): { text: string } | undefined {
  try {
    const digest = isTree(recorded) ? cache.readTree(recorded).find((entry) => entry.path === inside)?.digest : recorded
    if (digest === undefined || !cache.isSound(digest)) return undefined
    return { text: readFileSync(cache.pathOf(digest), 'utf8') }
  } catch (error) {
    if (isCode(error, 'CACHE_MISSING', 'CACHE_DAMAGED', 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Today's reading of a metric file, by its suffix: JSON, TOML, else YAML. Mappings are a `Map`.
 * @throws CairnError FAILED when the text is not of that kind
 */
export function parseMetric(text: string, file: string): unknown {
  const suffix = path.extname(file).toLowerCase()
  if (suffix === '.json') return translated(file, () => parseJson(text))
  if (suffix === '.toml') return translated(file, () => fromToml(parseToml(text, { integersAsBigInt: true })))
  const node = readYaml(text, file)
  return node === undefined ? new Map() : valueOf(node)
}

function translated<T>(file: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    const [what = ''] = cause instanceof Error ? cause.message.split('\n') : []
    throw new CairnError('FAILED', `unable to read '${file}': ${what}`, { cause })
  }
}

function fromToml(value: unknown): unknown {
  if (typeof value === 'bigint') return int(value.toString())
  if (typeof value === 'number') return float(value)
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(fromToml)
  if (typeof value !== 'object' || value === null) return value
  return new Map(Object.entries(value).map(([key, each]) => [key, fromToml(each)]))
}

/** True when any revision has a metric of a 2019 stage: then the repository's metrics are shown as then. */
export const isLegacyRepository = (revisions: readonly RevisionMetrics[]): boolean =>
  revisions.some((revision) => revision.files.some((file) => file.spec !== undefined))
