import { statSync } from 'node:fs'
import { type Digest, isTree } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { MAX_TREE_BASES, MAX_TREE_BYTES } from '@cairn/protocol/limits'
import { applyTreeDelta } from '@cairn/protocol/tree-delta'
import { filePieces } from '../io/file-pieces.ts'
import type { CairnFetch, Tally } from './fetch-run.ts'

/** Smaller trees travel in a pack with others: a request for each would cost more than it saves. */
const SMALLEST_DELTA_TREE = 64 * 1024
const PIECE_BYTES = 256 * 1024
/** What says that nothing came of this delta; the tree then comes in another way. */
const NO_DELTA = ['BAD_DELTA', 'BODY_TOO_LARGE', 'DIGEST_MISMATCH', 'BAD_DIGEST', 'BAD_REQUEST', 'NOT_FOUND', 'ENOENT']

/**
 * Brings a large tree as the difference to one that is in the cache. Left alone, for the ways that all objects go: what has
 * no such base, and whatever does not come out right.
 */
export async function fetchTree(fetch: CairnFetch, digest: Digest, tally: Tally): Promise<void> {
  const { api, options } = fetch
  if (!isTree(digest) || !api.can('tree-deltas') || options.earlier === undefined) return
  const bases = (await options.earlier(digest)).filter((base) => isTree(base) && isLarge(fetch, base)).slice(0, MAX_TREE_BASES)
  if (bases.length === 0) return
  try {
    const size = await bring(fetch, digest, bases)
    if (size !== undefined) tally.settle(digest, 'transferred', size)
  } catch (error) {
    if (!isCode(error, ...NO_DELTA) && !isZlibError(error)) throw error
  }
}

/** Resolves with the size of the tree; undefined when it did not come. */
async function bring(
  { api, sink, cache, options }: CairnFetch,
  digest: Digest,
  bases: readonly Digest[],
): Promise<number | undefined> {
  const { signal } = options
  let size: number | undefined
  const onWhole = async (bytes: AsyncIterable<Uint8Array>) => {
    size = await sink.storeStream(digest, bytes, signal)
  }
  const difference = await api.trees.get(digest, bases, { onWhole, signal })
  if (difference === undefined || !bases.includes(difference.base)) return size
  const base = filePieces(cache.pathOf(difference.base), PIECE_BYTES)
  return sink.storeStream(digest, applyTreeDelta(difference.delta, base, MAX_TREE_BYTES), signal)
}

const isLarge = ({ cache }: CairnFetch, digest: Digest): boolean =>
  (statSync(cache.pathOf(digest), { throwIfNoEntry: false })?.size ?? 0) >= SMALLEST_DELTA_TREE

const isZlibError = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && /^(Z_|ERR_BUFFER_TOO_LARGE)/.test(String(error.code))
