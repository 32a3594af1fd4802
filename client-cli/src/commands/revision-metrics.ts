import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { type ObjectCache, openObjectCache } from '../cache/object-cache.ts'
import type { Context } from '../command.ts'
import { metricFilesOf, type MetricFile } from '../pipeline/metrics.ts'
import { type MetricsOf, shownValues } from '../pipeline/metrics-table.ts'
import { metricValues } from '../pipeline/metric-value.ts'
import { type Content, type Failure, type Naming, readContent, textOf } from '../pipeline/read-content.ts'
import { openContent, type RevisionContent } from '../pipeline/revision-content.ts'
import { type FileTree, revisionTree, workingTree } from '../repo/file-tree.ts'
import type { Repo } from '../repo/repo.ts'

/** One revision, opened: its metric files, or why its stage files cannot be read. */
export interface OpenRevision {
  /** `workspace` or a sha. */
  rev: string
  content?: RevisionContent
  files: readonly MetricFile[]
  error?: Failure
}

/** Runs `work` with the cache open. */
export async function withCache<T>(repo: Repo, work: (cache: ObjectCache) => Promise<T>): Promise<T> {
  const cache = openObjectCache(repo.cacheDir, { tmpDir: repo.tmpDir })
  try {
    return await work(cache)
  } finally {
    cache.close()
  }
}

/** How messages name a root-relative path in the folder of the person. */
export const namingIn =
  (repo: Repo, cwd: string): Naming =>
  (file) =>
    path.relative(cwd, path.join(repo.root, file)).split(path.sep).join('/')

export const treeOf = (repo: Repo, rev: string): FileTree => (rev === 'workspace' ? workingTree(repo) : revisionTree(repo, rev))

/**
 * The content of a revision, or what is wrong with its stage files: one broken commit must not hide all others. Warns under the
 * name that is shown.
 */
export async function tryContent(
  { repo, cache, context }: { repo: Repo; cache: ObjectCache; context: Context },
  { rev, shown, what }: { rev: string; shown: string; what: 'metrics' | 'params' },
): Promise<RevisionContent | Failure> {
  context.signal.throwIfAborted()
  try {
    return await openContent(repo, treeOf(repo, rev), cache)
  } catch (error) {
    if (!(error instanceof CairnError) || error.code !== 'STAGE_FILE_INVALID') throw error
    context.report({ type: 'warning', text: `failed to load ${what} in revision '${shown}', ${error.message}` })
    return stageFileFailure(error)
  }
}

export function stageFileFailure(error: CairnError): Failure {
  const syntax = / is invalid\b/.test(error.message)
  return { type: syntax ? 'YAMLSyntaxError' : 'YAMLValidationError', msg: error.message }
}

export async function openMetrics(
  session: { repo: Repo; cache: ObjectCache; context: Context },
  revision: { rev: string; shown: string },
  targets: readonly string[],
): Promise<OpenRevision> {
  const content = await tryContent(session, { ...revision, what: 'metrics' })
  if ('type' in content) return { rev: revision.rev, files: [], error: content }
  return { rev: revision.rev, content, files: await metricFilesOf(content, targets) }
}

/** Reads what was opened, as tables and JSON show it; `shown` is the revision's name there. */
export async function readMetrics(open: OpenRevision, shown: string, name: Naming): Promise<MetricsOf> {
  const { content, error } = open
  const files = new Map<string, Content>()
  if (content) for (const file of open.files) files.set(file.path, await readMetric(content, file, name))
  return { rev: shown, files, ...(error && { error }) }
}

async function readMetric(content: RevisionContent, { path: file, spec }: MetricFile, name: Naming): Promise<Content> {
  if (spec?.type !== undefined && spec.xpath !== undefined) {
    const found = textOf(await content.read(file), file, name)
    return 'error' in found ? found : attempt(() => metricValues(found.text, spec, file))
  }
  const read = await readContent(content, file, name)
  return 'error' in read ? read : { data: shownValues(read.data) }
}

function attempt(read: () => unknown): Content {
  try {
    return { data: read() }
  } catch (error) {
    if (error instanceof CairnError) return { error: { type: 'MetricsLoadError', msg: error.message } }
    throw error
  }
}

/** The same files under the names that the person's folder gives them. */
export const renamed = (metrics: MetricsOf, name: Naming): MetricsOf => ({
  ...metrics,
  files: new Map([...metrics.files].map(([file, content]) => [name(file), content])),
})

/** Says which revisions have something that could not be read. */
export function reportErrored(context: Context, what: 'metrics' | 'plots', revisions: readonly string[]): void {
  if (revisions.length === 0) return
  const revs = `'${revisions.join(', ')}'`
  context.report({ type: 'note', text: `DVC failed to load some ${what} for following revisions: ${revs}.` })
}

export const isErrored = ({ files, error }: MetricsOf): boolean =>
  error !== undefined || [...files.values()].some((content) => 'error' in content)
