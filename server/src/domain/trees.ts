import { type Digest, isLegacy, packDigests } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { MAX_TREE_BYTES } from '@cairn/protocol/limits'
import { createTreeReader } from '@cairn/protocol/tree'
import { singleKey } from './blob-key.ts'
import { mendTrees } from './damage.ts'
import { type Lacking, lacking, nothingLacking } from './lacking.ts'
import { findRow, isPresent, linkSingle, readObject } from './objects.ts'
import type { Bytes } from './ports/blob-store.ts'
import type { FoundMembers, ObjectRow, ProjectRow } from './ports/catalog.ts'
import type { Stores } from './stores.ts'
import type { RebuiltTree } from './tree-deltas.ts'
import { checkTree, type ScannedTree, scanTree } from './tree-members.ts'
import { verifyStream } from './verify-stream.ts'

/** At most so many missing objects are named in an error. */
const MAX_NAMED = 100_000

export interface StoreTree {
  digest: Digest
  /** Gives the tree's exact bytes, whole or as they arrive; not called when the tree is present already. */
  read: () => Promise<Uint8Array | Bytes | RebuiltTree>
  /** Where an incomplete tree waits for its entries. Without one it is refused. */
  session?: string | undefined
  signal: AbortSignal
}

export interface StoredTree {
  linked: boolean
  outcome: 'stored' | 'exists'
  size: number
  /** Entries that the project lacks, each once, in the tree's order. Empty when linked. */
  missing: Lacking
}

/** Ids in one row of a session's leases. */
const LEASE_IDS = 50_000
/** With more than this missing, nearly everything has to be looked at again anyway. */
const MOST_HELD = 100_000
/** A larger tree has to be sorted by path, as dvc sorts it: then a look at each entry finds the doubles. */
const MAX_UNSORTED_BYTES = 32 * 1024 * 1024

/**
 * Takes a tree in, as it arrives: of a million entries 16 bytes each are kept. It becomes present only when all of its
 * entries are: until then it waits, pending, in its session. A crash between the blob and the link leaves a blob that no row
 * names; a crash after it a pending tree, which the expiry of sessions removes.
 * @throws CairnError DIGEST_MISMATCH, BAD_TREE, DIGEST_CONFLICT, and TREE_INCOMPLETE (with `missing`) without a session
 */
export async function storeTree(stores: Stores, project: ProjectRow, request: StoreTree): Promise<StoredTree> {
  const { digest, session } = request
  const standing = await findRow(stores, project.id, digest)
  if (standing && isPresent(standing)) {
    if (session) await stores.catalog.addLease(session, [standing.id])
    return { linked: true, outcome: 'exists', size: standing.size, missing: nothingLacking }
  }
  const { tree, size, found } = await takeTree(stores, project, request, standing)
  if (session) await leaseTree(stores, project, digest, { session, found })
  const missing = lacking(found.missing, tree.members)
  if (missing.count > 0) {
    if (standing?.state !== 'live') await holdTree(stores, project, digest, tree, found)
    return { linked: false, outcome: 'stored', size, missing }
  }

  const lost = await linkTree(stores, project, digest, tree, found)
  if (lost.count > 0 && session === undefined) throw incompleteTree(digest, lost)
  if (standing?.state === 'damaged' || standing?.broken) await mendTrees(stores, project.id)
  return { linked: lost.count === 0, outcome: 'stored', size, missing: lost }
}

interface TakenTree {
  tree: ScannedTree
  size: number
  found: FoundMembers
}

/** Reads the tree into a blob, and links it as pending. Nothing is left of one that is refused. */
async function takeTree(
  stores: Stores,
  project: ProjectRow,
  request: StoreTree,
  standing: ObjectRow | undefined,
): Promise<TakenTree> {
  const source = sourceOf(await request.read())
  const { digest, signal } = request
  const verified = verifyStream(source.bytes, { digest, limit: MAX_TREE_BYTES })
  const checked = checkTree(verified.bytes, digest, source.rebuilt?.difference.after)
  // A live tree that is only broken keeps its row and its blob: its closure is all it lacks.
  const key = standing?.state === 'live' ? undefined : singleKey(project.id, digest)
  try {
    if (key === undefined) for await (const chunk of checked.bytes) void chunk
    else await stores.blobs.put(key, checked.bytes, { signal, size: source.size })
    const { size, sha256 } = verified.measured()
    const tree = checked.scanned()
    if (key !== undefined && !tree.sorted) await refuseDoubles(stores, { key, digest, size }, signal)
    const found = await findMembers(stores, project, tree, source.rebuilt)
    if (found.missing.length > 0 && request.session === undefined)
      throw incompleteTree(digest, lacking(found.missing, tree.members))
    if (key !== undefined) await linkSingle(stores, project, key, { digest, size, sha256, offset: 0 }, { state: 'pending' })
    return { tree, size, found }
  } catch (error) {
    if (key !== undefined && isCode(error, 'BAD_TREE', 'TREE_INCOMPLETE')) await stores.blobs.delete([key])
    throw error
  } finally {
    await source.rebuilt?.difference.close()
  }
}

function sourceOf(given: Uint8Array | Bytes | RebuiltTree): { bytes: Bytes; size?: number; rebuilt?: RebuiltTree } {
  if (given instanceof Uint8Array) return { bytes: once(given), size: given.length }
  return 'difference' in given ? { bytes: given.bytes, rebuilt: given } : { bytes: given }
}

/** Of a tree that came as a difference only what differs is looked at, as long as its base is whole. */
async function findMembers(
  stores: Stores,
  project: ProjectRow,
  { members }: ScannedTree,
  rebuilt: RebuiltTree | undefined,
): Promise<FoundMembers> {
  if (rebuilt && isPresent(rebuilt.base) && isLegacy(rebuilt.base.digest) === members.legacy) {
    const changes = await rebuilt.difference.finish()
    const { legacy } = members
    const found = changes && (await stores.catalog.findChangedMembers(project.id, rebuilt.base.id, { ...changes, legacy }))
    if (found) return found
  }
  return stores.catalog.findMembers(project.id, members)
}

async function holdTree(
  stores: Stores,
  project: ProjectRow,
  digest: Digest,
  tree: ScannedTree,
  found: FoundMembers,
): Promise<void> {
  if (found.times.length > MOST_HELD) return
  const { present: members, bytes, vouched, missing, times } = found
  await stores.catalog.holdTree(project.id, digest, { entries: tree.entries, bytes, members, vouched, missing, times })
}

async function refuseDoubles(
  stores: Stores,
  blob: { key: string; digest: Digest; size: number },
  signal: AbortSignal,
): Promise<void> {
  if (blob.size > MAX_UNSORTED_BYTES)
    throw new CairnError('BAD_TREE', `${blob.digest}: a tree of more than ${MAX_UNSORTED_BYTES} bytes has to be sorted by path`)
  const reader = createTreeReader()
  for await (const chunk of await stores.blobs.get(blob.key, { signal })) reader.push(chunk as Uint8Array)
  reader.end()
}

/** A tree that is held stays with all of its members; what it is a change of need not be named file by file. */
async function leaseTree(
  stores: Stores,
  project: ProjectRow,
  digest: Digest,
  { session, found }: { session: string; found: FoundMembers },
): Promise<void> {
  const row = await findRow(stores, project.id, digest)
  const members = found.vouched ? [found.vouched.base, ...found.vouched.others] : found.present
  const ids = row ? [...members, row.id] : members
  for (let from = 0; from < ids.length; from += LEASE_IDS)
    await stores.catalog.addLease(session, ids.slice(from, from + LEASE_IDS))
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Makes a tree present if its entries are; returns those that are not. */
async function linkTree(
  stores: Stores,
  project: ProjectRow,
  digest: Digest,
  tree: ScannedTree,
  found: FoundMembers,
): Promise<Lacking> {
  if (found.missing.length > 0) return lacking(found.missing, tree.members)
  const { entries, members } = tree
  if (await stores.catalog.linkTree(project.id, digest, { entries, bytes: found.bytes, members: found.present }))
    return nothingLacking
  // A member was lost between the two questions; asking again names it.
  return lacking((await stores.catalog.findMembers(project.id, members)).missing, members)
}

function incompleteTree(digest: Digest, missing: Lacking): CairnError {
  const named = missing.digests(MAX_NAMED)
  const more = missing.count > 1 ? ` and ${missing.count - 1} more` : ''
  return new CairnError('TREE_INCOMPLETE', `${digest}: entry ${named[0]}${more} missing in this project`, {
    hint: 'Push again: the missing files are sent first, then the directory.',
    data: { missing: named },
  })
}

/**
 * Links the trees among `roots` that wait for their entries, and checks that all other roots are present.
 * @throws CairnError TREE_INCOMPLETE with what is missing
 */
export async function commitRoots(
  stores: Stores,
  project: ProjectRow,
  roots: readonly Digest[],
  signal: AbortSignal,
): Promise<Digest[]> {
  const rows = new Map((await stores.catalog.findObjects(project.id, roots)).map((row) => [row.digest, row]))
  const named = new Set<Digest>()
  const linked: Digest[] = []
  let missing = 0
  for (const root of new Set(roots)) {
    const row = rows.get(root)
    if (isPresent(row)) continue
    const lost = await linkWaitingTree(stores, project, root, row, signal)
    if (lost === undefined) linked.push(root)
    else {
      missing += lost.count
      for (const digest of lost.digests(MAX_NAMED - named.size)) named.add(digest)
    }
  }
  if (missing === 0) return linked
  const [first] = named
  throw new CairnError('TREE_INCOMPLETE', `${missing} objects of this push are missing, among them ${first}`, {
    hint: 'Send the missing objects and commit again.',
    data: { missing: [...named] },
  })
}

/** undefined when the tree is linked now; else what it lacks, itself if it does not wait here at all. */
async function linkWaitingTree(
  stores: Stores,
  project: ProjectRow,
  root: Digest,
  row: ObjectRow | undefined,
  signal: AbortSignal,
): Promise<Lacking | undefined> {
  const waits = row !== undefined && (row.state === 'pending' || (row.state === 'live' && row.broken))
  if (!waits) return { count: 1, digests: () => [root], packed: () => packDigests([root]) }
  const held = await stores.catalog.linkHeldTree(project.id, root)
  if (held) return held.length === 0 ? undefined : lacking(held, { legacy: isLegacy(root) })
  const tree = await scanTree(readObject(stores, project.id, row, { signal }), root)
  const lost = await linkTree(stores, project, root, tree, await stores.catalog.findMembers(project.id, tree.members))
  return lost.count === 0 ? undefined : lost
}
