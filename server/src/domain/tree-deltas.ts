import { type Digest, isTree } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { MAX_TREE_BYTES, MAX_TREE_DELTA_BYTES } from '@cairn/protocol/limits'
import { applyTreeDelta } from '@cairn/protocol/tree-delta'
import { encodeTreeDelta } from '@cairn/protocol/tree-difference'
import { findRow, readObject } from './objects.ts'
import type { Bytes } from './ports/blob-store.ts'
import type { ObjectRow, ProjectRow } from './ports/catalog.ts'
import type { Stores } from './stores.ts'
import { createDifference, type Difference } from './tree-difference.ts'

/**
 * The bytes that a delta makes of a tree that the project has. They are whatever the delta says: the caller compares them
 * with a digest.
 * @throws CairnError BASE_UNKNOWN, also for another project's tree, for one that only waits in a session, and, while it is
 * read, for one that turns out damaged: the sender then sends the whole. BAD_DELTA, BODY_TOO_LARGE
 */
export async function rebuildTree(
  stores: Stores,
  project: ProjectRow,
  request: { base: Digest; delta: Uint8Array; signal: AbortSignal },
): Promise<RebuiltTree> {
  const row = isTree(request.base) ? await findRow(stores, project.id, request.base) : undefined
  if (row?.state !== 'live') throw unknownBase(request.base)
  const difference = createDifference(row.size)
  const base = difference.base(readBase(stores, project, row, request.signal))
  return { bytes: applyTreeDelta(request.delta, base, MAX_TREE_BYTES), base: row, difference }
}

export interface RebuiltTree {
  /** To be read once. */
  bytes: Bytes
  base: ObjectRow
  /** Between the base and what the bytes turn out to be. */
  difference: Difference
}

async function* readBase(stores: Stores, project: ProjectRow, row: ObjectRow, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* readObject(stores, project.id, row, { signal })
  } catch (error) {
    if (isCode(error, 'OBJECT_DAMAGED')) throw unknownBase(row.digest, error)
    throw error
  }
}

function unknownBase(digest: Digest, cause?: unknown): CairnError {
  return new CairnError('BASE_UNKNOWN', `${digest}: the project has no such tree to build on`, {
    hint: 'Send the whole tree.',
    ...(cause !== undefined && { cause }),
  })
}

export interface TreeDelta {
  base: Digest
  delta: Uint8Array
}

/**
 * A tree as the difference to the first of `bases` that the project has. undefined when it has none, or the difference is
 * not worth it: more than half of the tree.
 */
export async function findTreeDelta(
  stores: Stores,
  project: ProjectRow,
  tree: ObjectRow,
  request: { bases: readonly Digest[]; signal: AbortSignal },
): Promise<TreeDelta | undefined> {
  const { signal } = request
  if (request.bases.length === 0) return undefined
  const rows = await stores.catalog.findObjects(project.id, request.bases)
  const base = request.bases.map((digest) => rows.find((row) => row.digest === digest)).find((row) => row?.state === 'live')
  if (base === undefined) return undefined
  const limit = Math.min(MAX_TREE_DELTA_BYTES, Math.floor(tree.size / 2))
  try {
    const before = readBase(stores, project, base, signal)
    const delta = await encodeTreeDelta(before, readObject(stores, project.id, tree, { signal }), limit)
    return delta && { base: base.digest, delta }
  } catch (error) {
    if (isCode(error, 'BASE_UNKNOWN')) return undefined
    throw error
  }
}
