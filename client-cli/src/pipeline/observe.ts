import { readFileSync } from 'node:fs'
import path from 'node:path'
import { type Digest, isLegacy, isTree, makeDigest, md5Of } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import type { TreeEntry } from '@cairn/protocol/tree'
import { mapLimit } from '../io/limit.ts'
import type { Content, Workspace } from '../workspace/workspace.ts'
import { type ParamValues, readParams } from './params.ts'
import { stageMd5 } from './stage-md5.ts'
import { isUrl } from './stage-path.ts'
import type { Dep, ParamsDep, Recorded, Stage } from './stage.ts'
import type { Seen, SeenOut } from './staleness.ts'

/** Paths of one stage that are hashed at a time; the hashing itself is bounded by the workspace. */
const AT_ONCE = 4

/** What surrounds a stage now, each path hashed the way its record was. Only reads. */
export async function observe(workspace: Workspace, stage: Stage): Promise<Seen> {
  const deps = await mapLimit(stage.deps.filter(isLocal), AT_ONCE, async (dep) => {
    return [dep.path, (await contentLike(workspace, dep.path, dep.recorded))?.digest] as const
  })
  const outs = await mapLimit(stage.outs, AT_ONCE, async (out): Promise<[string, SeenOut]> => {
    const content = await contentLike(workspace, out.path, out.recorded)
    const cached = out.recorded !== undefined && isCached(workspace, out.recorded.digest, content)
    return [out.path, { digest: content?.digest, cached }]
  })
  return {
    deps: new Map(deps),
    params: new Map(stage.params.map((params) => [params.path, currentParams(workspace, params)])),
    outs: new Map(outs),
    editedByHand: stage.md5 !== undefined && stageMd5(stage) !== stage.md5,
  }
}

/** A dep that stands in a file system and not at some url or in another repository. */
export const isLocal = (dep: Dep): boolean => dep.source === undefined && !isUrl(dep.path)

/** The values that a params file has now; undefined when there is no such file. */
export function currentParams(workspace: Workspace, params: ParamsDep): ParamValues | undefined {
  try {
    return readParams(readFileSync(path.resolve(workspace.repo.root, params.path), 'utf8'), params)
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** The content now, hashed the way that the record was. */
export function contentLike(
  workspace: Workspace,
  location: string,
  recorded: Recorded | undefined,
): Promise<Content | undefined> {
  if (recorded === undefined) return workspace.contentOf(location, {})
  return workspace.contentOf(location, { legacy: isLegacy(recorded.digest), previous: recorded.digest })
}

/** True when the object, and for a tree every file in it, is in the cache. `content` saves reading the tree when it is the same. */
export function isCached(workspace: Pick<Workspace, 'cache'>, digest: Digest, content?: Content): boolean {
  const { cache } = workspace
  if (!cache.has(digest)) return false
  if (!isTree(digest)) return true
  try {
    return cache.isComplete(digest, () => (content?.digest === digest && content.rows) || rowsOf(cache.readTree(digest)))
  } catch (error) {
    if (isCode(error, 'CACHE_MISSING', 'CACHE_DAMAGED', 'BAD_TREE')) return false
    throw error
  }
}

/** The files of a recorded folder; undefined when the cache cannot tell them. */
export function listingOf(cache: Pick<Workspace['cache'], 'readTree'>, digest: Digest): readonly TreeEntry[] | undefined {
  try {
    return cache.readTree(digest)
  } catch (error) {
    if (isCode(error, 'CACHE_MISSING', 'CACHE_DAMAGED', 'BAD_TREE')) return undefined
    throw error
  }
}

const rowsOf = (entries: readonly TreeEntry[]) => ({
  count: entries.length,
  md5: (row: number) => md5Of(entries[row]?.digest ?? makeDigest('0'.repeat(32))),
})
