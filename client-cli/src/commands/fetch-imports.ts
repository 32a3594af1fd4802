import path from 'node:path'
import { type Digest, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { Context } from '../command.ts'
import type { Target } from '../pipeline/load.ts'
import type { Repo } from '../repo/repo.ts'
import { filesInside } from '../transfer/expand.ts'
import type { Left } from '../transfer/outcome.ts'
import { bringContent } from './foreign-content.ts'
import { withForeign } from './foreign-options.ts'
import { repoOf } from './imports.ts'

/**
 * Brings what the cache lacks of imports from other repositories, from there: as it was at the commit that is recorded. What
 * cannot be had is named; everything else came.
 */
export async function bringImports(
  repo: Repo,
  context: Context,
  cache: ObjectCache,
  targets: readonly Target[],
): Promise<{ fetched: number; left: Left[] }> {
  const total = { fetched: 0, left: [] as Left[] }
  for (const stage of new Set(targets.map((target) => target.stage))) {
    const [dep] = stage.deps
    const source = repoOf(dep)
    const out = stage.outs[0]
    const digest = out?.recorded?.digest
    if (dep === undefined || source === undefined || out === undefined || digest === undefined || isWhole(cache, digest)) continue
    const before = cache.missing(objectsOf(cache, digest)).length
    try {
      await bringOne(repo, context, cache, { source, at: dep.path, wdir: stage.wdir })
    } catch (error) {
      if (!(error instanceof CairnError) || error.code === 'CANCELLED') throw error
      total.left.push({ digest, reason: 'missing', message: error.message, path: out.path })
      context.report({ type: 'warning', text: `'${out.path}' cannot be brought from '${source.url}': ${error.message}` })
      continue
    }
    if (isWhole(cache, digest)) total.fetched += Math.max(before, objectsOf(cache, digest).length)
    else
      total.left.push({ digest, reason: 'missing', message: `'${source.url}' holds something else there by now`, path: out.path })
  }
  return total
}

const objectsOf = (cache: ObjectCache, digest: Digest): Digest[] =>
  isTree(digest) ? [digest, ...(cache.has(digest) ? (filesInside(cache, { digest }) ?? []) : [])] : [digest]

const isWhole = (cache: ObjectCache, digest: Digest): boolean =>
  cache.has(digest) && cache.missing(objectsOf(cache, digest)).length === 0

function bringOne(
  repo: Repo,
  context: Context,
  cache: ObjectCache,
  {
    source,
    at,
    wdir,
  }: { source: { url: string; rev: string | undefined; commit: string | undefined }; at: string; wdir: string },
): Promise<unknown> {
  const from = [context.cwd, path.join(repo.root, wdir), repo.root]
  const where = { context, options: {}, from, workspace: false, rev: source.commit ?? source.rev }
  return withForeign(source.url, where, (foreign) => bringContent({ foreign, cache, context, tmpDir: repo.tmpDir }, at))
}
