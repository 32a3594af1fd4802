import { statSync } from 'node:fs'
import { type Digest, isLegacy, isTree, makeDigest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { serializeTree, type TreeEntry } from '@cairn/protocol/tree'
import { md5OfBytes, md5OfFile } from '../cache/md5.ts'
import type { Content, Workspace } from '../workspace/workspace.ts'
import type { Recorded } from './stage.ts'

/** A legacy digest's content under its name of today, and where its bytes are. */
export interface Renamed {
  recorded: Recorded
  from: 'workspace' | 'cache'
  /** The files, each by both names; for a workspace's file the legacy object may be missing. */
  objects: ReadonlyArray<{ legacy: Digest; digest: Digest }>
  /** Directories only. */
  entries?: readonly TreeEntry[]
}

/**
 * The content that a legacy digest stands for, hashed anew: the workspace's, when it still is that content (what stands there
 * must be found unchanged afterwards), else the legacy cache's. undefined when neither has it. Nothing is written.
 */
export async function renameContent(
  workspace: Workspace,
  location: string,
  legacy: Digest,
  signal: AbortSignal,
): Promise<Renamed | undefined> {
  const before = await workspace.contentOf(location, { legacy: true, previous: legacy })
  if (before?.digest !== legacy) return renameCached(workspace, legacy, signal)
  const now = await workspace.contentOf(location)
  if (now === undefined) throw new CairnError('FAILED', `'${location}' changed while it was read`)
  return {
    recorded: recordedOf(now),
    from: 'workspace',
    objects: bothNames(before, now),
    ...(now.entries && { entries: now.entries }),
  }
}

export function recordedOf({ digest, size, nfiles, isexec }: Content): Recorded {
  return { digest, size, ...(nfiles !== undefined && { nfiles }), ...(isexec && { isexec }) }
}

function bothNames(before: Content, now: Content): Array<{ legacy: Digest; digest: Digest }> {
  if (!now.entries || !before.entries) return [{ legacy: before.digest, digest: now.digest }]
  const legacy = new Map(before.entries.map((entry) => [entry.path, entry.digest]))
  return now.entries.flatMap((entry) => {
    const old = legacy.get(entry.path)
    return old === undefined ? [] : [{ legacy: old, digest: entry.digest }]
  })
}

async function renameCached({ cache }: Workspace, legacy: Digest, signal: AbortSignal): Promise<Renamed | undefined> {
  if (!isTree(legacy)) {
    const file = renameObject(legacy)
    return (
      file && { recorded: { digest: file.digest, size: file.size }, from: 'cache', objects: [{ legacy, digest: file.digest }] }
    )
  }
  const listed = readTree(legacy)
  if (!listed) return undefined
  const entries: TreeEntry[] = []
  const objects: Array<{ legacy: Digest; digest: Digest }> = []
  let size = 0
  for (const entry of listed) {
    // A million files take minutes; Ctrl-C must be heard meanwhile.
    if (entries.length % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
    signal.throwIfAborted()
    const file = renameObject(entry.digest)
    if (!file) return undefined
    entries.push({ path: entry.path, digest: file.digest })
    objects.push({ legacy: entry.digest, digest: file.digest })
    size += file.size
  }
  const digest = makeDigest(md5OfBytes(serializeTree(entries)), { tree: true })
  return { recorded: { digest, size, nfiles: entries.length }, from: 'cache', objects, entries }

  function renameObject(name: Digest): { digest: Digest; size: number } | undefined {
    if (!cache.isSound(name)) return undefined
    const file = cache.pathOf(name)
    return { digest: makeDigest(md5OfFile(file)), size: statSync(file).size }
  }

  function readTree(name: Digest): TreeEntry[] | undefined {
    try {
      return cache.readTree(name)
    } catch (error) {
      if (isCode(error, 'CACHE_MISSING', 'CACHE_DAMAGED')) return undefined
      throw error
    }
  }
}

/**
 * Gives the objects their names of today: a hard link beside the legacy one where the bytes are the same, else a copy out of
 * the workspace; then the tree. Repeating it does no harm.
 * @throws CairnError FAILED when the workspace changed since it was looked at
 */
export async function storeRenamed(workspace: Workspace, location: string, renamed: Renamed, signal: AbortSignal): Promise<void> {
  const { cache } = workspace
  let count = 0
  for (const { legacy, digest } of renamed.objects) {
    if (++count % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
    signal.throwIfAborted()
    if (cache.isSound(digest) || !isLegacy(legacy) || !cache.isSound(legacy) || md5OfFile(cache.pathOf(legacy)) !== digest)
      continue
    cache.storeFile(digest, cache.pathOf(legacy), 'hardlink')
  }
  if (renamed.from === 'cache') {
    if (renamed.entries) cache.storeTree(renamed.entries)
    return
  }
  const saved = await workspace.save(location, { kind: 'stage', cache: true, relink: false })
  if (saved.digest !== renamed.recorded.digest) throw new CairnError('FAILED', `'${location}' changed while it was migrated`)
}
