import { setImmediate } from 'node:timers/promises'
import type { Digest } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { fileOf } from '@cairn/protocol/tree'
import { statOrNone } from '../cache/file-stat.ts'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { LocalTree, TransferFailure } from './remote.ts'

/** What sending needs of the cache. */
export type SourceCache = Pick<ObjectCache, 'pathOf' | 'has' | 'soundStat' | 'scanTree'>

/** An object that was found sound, ready to be read. */
export interface Outgoing {
  digest: Digest
  path: string
  size: number
}

export const localTree = (cache: Pick<SourceCache, 'scanTree'>, digest: Digest): LocalTree => ({
  digest,
  scan: (onEntry) => cache.scanTree(digest, onEntry),
})

/** Objects that stay behind in one push, each with the first reason found. */
export type Failures = Map<Digest, TransferFailure>

/** The object ready to be sent, or undefined after noting in `failures` why it cannot be. */
export function takeSound(cache: SourceCache, digest: Digest, failures: Failures): Outgoing | undefined {
  const present = cache.has(digest)
  const stat = present ? cache.soundStat(digest) : undefined
  if (stat) return { digest, path: cache.pathOf(digest), size: stat.size }
  noteUnsound(digest, present, failures)
  return undefined
}

/** As `takeSound` without looking at the bytes: for what the receiver hashes, and refuses by name when it is damaged. */
export function takePresent(cache: SourceCache, digest: Digest, failures: Failures): Outgoing | undefined {
  const path = cache.pathOf(digest)
  const stat = statOrNone(path)
  if (stat?.isFile()) return { digest, path, size: stat.size }
  noteUnsound(digest, false, failures)
  return undefined
}

/** The first reason stands: a damaged object was moved aside, so that it is missing when it is looked at again. */
export function noteUnsound(digest: Digest, present: boolean, failures: Failures): void {
  if (failures.has(digest)) return
  const message = present ? 'its cached bytes no longer hash to it; they were moved aside' : 'it is not in the cache'
  failures.set(digest, { digest, reason: present ? 'damaged' : 'missing', message })
}

/** A breath every few thousand objects keeps Ctrl-C and the sockets alive. */
const BREATH = 4096

/** As `takeSound` for many, in their order; doubles once. */
export async function takeAllSound(
  cache: SourceCache,
  digests: Iterable<Digest>,
  failures: Failures,
  signal: AbortSignal,
): Promise<Outgoing[]> {
  const objects: Outgoing[] = []
  let count = 0
  for (const digest of new Set(digests)) {
    if (failures.has(digest)) continue
    const object = takeSound(cache, digest, failures)
    if (object) objects.push(object)
    if (++count % BREATH === 0) {
      await setImmediate()
      signal.throwIfAborted()
    }
  }
  return objects
}

/** The files of a tree, each once, in its order; undefined after noting that the tree itself cannot be sent. */
export function takeFiles(tree: LocalTree, failures: Failures): Digest[] | undefined {
  const files = new Set<Digest>()
  return scanNoting(tree, failures, (file) => files.add(file)) ? [...files] : undefined
}

/** False after noting that the tree itself cannot be sent. */
function scanNoting(tree: LocalTree, failures: Failures, onFile: (file: Digest) => void): boolean {
  try {
    tree.scan((entry) => onFile(fileOf(tree.digest, entry)))
    return true
  } catch (error) {
    if (isCode(error, 'CACHE_MISSING')) noteUnsound(tree.digest, false, failures)
    else if (isCode(error, 'CACHE_DAMAGED')) noteUnsound(tree.digest, true, failures)
    else if (isCode(error, 'BAD_TREE'))
      failures.set(tree.digest, { digest: tree.digest, reason: 'damaged', message: (error as Error).message })
    else throw error
    return false
  }
}

/** Trees that may be sent: they and all of their entries are there. */
export function withoutFailed(trees: readonly LocalTree[], failures: Failures): LocalTree[] {
  if (failures.size === 0) return [...trees]
  return trees.filter((tree) => {
    if (failures.has(tree.digest)) return false
    let whole = true
    const read = scanNoting(tree, failures, (file) => {
      if (failures.has(file)) whole = false
    })
    return read && whole
  })
}
