import { type Digest, isTree } from '@cairn/protocol/digest'
import type { TreeEntry } from '@cairn/protocol/tree'
import { mapLimit } from '../io/limit.ts'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { contentLike, listingOf } from './observe.ts'
import type { Out, Stage } from './stage.ts'

/** The content at an output's path. */
export interface SnapshotEntry {
  digest: Digest
  /** Folders only: their files; undefined when the tree cannot be read here. */
  members?: () => readonly TreeEntry[] | undefined
}

/** The outputs at one moment, recorded or as they stand, by root-relative path. What Git keeps (`cache: false`) is not in it. */
export type Snapshot = ReadonlyMap<string, SnapshotEntry>

const AT_ONCE = 4

export const cachedOuts = (stages: readonly Stage[]): Out[] => stages.flatMap((stage) => stage.outs.filter((out) => out.cache))

/** What the stage files record. Trees are read out of the cache, when somebody asks for their files. */
export function recordedSnapshot(outs: readonly Out[], cache: Pick<ObjectCache, 'readTree'>): Snapshot {
  const entries = new Map<string, SnapshotEntry>()
  for (const { path, recorded } of outs) {
    if (!recorded) continue
    const { digest } = recorded
    entries.set(path, isTree(digest) ? { digest, members: once(() => listingOf(cache, digest)) } : { digest })
  }
  return entries
}

/** What stands in the workspace. A folder that did not change is not walked twice. */
export async function standingSnapshot(outs: readonly Out[], workspace: Workspace): Promise<Snapshot> {
  const found = await mapLimit(outs, AT_ONCE, async (out): Promise<Array<[string, SnapshotEntry]>> => {
    const content = await contentLike(workspace, out.path, out.recorded)
    if (content === undefined) return []
    const { digest } = content
    return [[out.path, isTree(digest) ? { digest, members: () => content.entries } : { digest }]]
  })
  return new Map(found.flat())
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => (made ??= { value: make() }).value
}
