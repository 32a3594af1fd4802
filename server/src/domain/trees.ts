import { type Digest, isLegacy } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { parseTree, type TreeEntry } from '@cairn/protocol/tree'
import { singleKey } from './blob-key.ts'
import { mendTrees } from './damage.ts'
import { findRow, isPresent, linkSingle, loadObject } from './objects.ts'
import type { ObjectRow, ProjectRow } from './ports.ts'
import type { Stores } from './stores.ts'
import { measureBytes, requireDigest } from './verify-stream.ts'

export interface StoreTree {
  digest: Digest
  /** Reads the tree's exact bytes; not called when the tree is present already. */
  read: () => Promise<Uint8Array>
  /** Where an incomplete tree waits for its entries. Without one it is refused. */
  session?: string | undefined
  signal: AbortSignal
}

export interface StoredTree {
  linked: boolean
  outcome: 'stored' | 'exists'
  /** Entries that the project lacks, each once. Empty when linked. */
  missing: Digest[]
}

/**
 * Takes a tree in. It becomes present only when all of its entries are: until then it waits, pending, in its session.
 * A crash between the blob and the link leaves a pending tree, which the expiry of sessions removes.
 * @throws CairnError DIGEST_MISMATCH, BAD_TREE, DIGEST_CONFLICT, and TREE_INCOMPLETE (with `missing`) without a session
 */
export async function storeTree(stores: Stores, project: ProjectRow, request: StoreTree): Promise<StoredTree> {
  const { digest, session, signal } = request
  const standing = await findRow(stores, project.id, digest)
  if (standing && isPresent(standing)) {
    if (session) await stores.catalog.addLease(session, [standing.id])
    return { linked: true, outcome: 'exists', missing: [] }
  }
  const bytes = await request.read()
  const measured = measureBytes(bytes, { legacy: isLegacy(digest) })
  requireDigest(measured, digest)
  const entries = parseTree(bytes, { legacy: isLegacy(digest) })
  const { missing, present } = await stores.catalog.findMissing(project.id, memberDigests(entries))
  if (missing.length > 0 && session === undefined) throw incompleteTree(digest, missing)

  // A live tree that is only broken keeps its row and its blob: its closure is all it lacks.
  if (standing?.state !== 'live') {
    const key = singleKey(project.id, digest)
    await stores.blobs.put(key, once(bytes), { signal, size: bytes.length })
    const object = { digest, size: bytes.length, sha256: measured.sha256, offset: 0 }
    await linkSingle(stores, project, key, object, { state: 'pending' })
  }
  if (session) await leaseTree(stores, project, digest, { session, present })
  if (missing.length > 0) return { linked: false, outcome: 'stored', missing }

  const lost = await linkTree(stores, project, digest, entries)
  if (lost.length > 0 && session === undefined) throw incompleteTree(digest, lost)
  if (standing?.state === 'damaged' || standing?.broken) await mendTrees(stores, project.id)
  return { linked: lost.length === 0, outcome: 'stored', missing: lost }
}

async function leaseTree(
  stores: Stores,
  project: ProjectRow,
  digest: Digest,
  held: { session: string; present: readonly number[] },
): Promise<void> {
  const row = await findRow(stores, project.id, digest)
  await stores.catalog.addLease(held.session, row ? [...held.present, row.id] : held.present)
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function memberDigests(entries: readonly TreeEntry[]): Digest[] {
  return [...new Set(entries.map((entry) => entry.digest))]
}

/** Makes a tree present if its entries are; returns those that are not. */
async function linkTree(stores: Stores, project: ProjectRow, digest: Digest, entries: readonly TreeEntry[]): Promise<Digest[]> {
  const members = memberDigests(entries)
  const rows = new Map((await stores.catalog.findObjects(project.id, members)).map((row) => [row.digest, row]))
  const missing = members.filter((member) => !isPresent(rows.get(member)))
  if (missing.length > 0) return missing
  const ids = [...rows.values()].map((row) => row.id).toSorted((a, b) => a - b)
  const bytes = entries.reduce((sum, entry) => sum + (rows.get(entry.digest)?.size ?? 0), 0)
  if (await stores.catalog.linkTree(project.id, digest, { entries: entries.length, bytes, members: ids })) return []
  // A member was lost between the two questions; asking again names it.
  return (await stores.catalog.findMissing(project.id, members)).missing
}

export function incompleteTree(digest: Digest, missing: readonly Digest[]): CairnError {
  const more = missing.length > 1 ? ` and ${missing.length - 1} more` : ''
  return new CairnError('TREE_INCOMPLETE', `${digest}: entry ${missing[0]}${more} missing in this project`, {
    hint: 'Push again: the missing files are sent first, then the directory.',
    data: { missing },
  })
}

/**
 * Links the trees among `roots` that wait for their entries, and checks that all other roots are present.
 * @throws CairnError TREE_INCOMPLETE with everything that is missing
 */
export async function commitRoots(
  stores: Stores,
  project: ProjectRow,
  roots: readonly Digest[],
  signal: AbortSignal,
): Promise<Digest[]> {
  const rows = new Map((await stores.catalog.findObjects(project.id, roots)).map((row) => [row.digest, row]))
  const missing = new Set<Digest>()
  const linked: Digest[] = []
  for (const root of new Set(roots)) {
    const row = rows.get(root)
    if (isPresent(row)) continue
    const lost = await linkWaitingTree(stores, project, root, row, signal)
    if (lost.length === 0) linked.push(root)
    for (const digest of lost) missing.add(digest)
  }
  if (missing.size === 0) return linked
  const [first] = missing
  throw new CairnError('TREE_INCOMPLETE', `${missing.size} objects of this push are missing, among them ${first}`, {
    hint: 'Send the missing objects and commit again.',
    data: { missing: [...missing] },
  })
}

async function linkWaitingTree(
  stores: Stores,
  project: ProjectRow,
  root: Digest,
  row: ObjectRow | undefined,
  signal: AbortSignal,
): Promise<Digest[]> {
  const waits = row !== undefined && (row.state === 'pending' || (row.state === 'live' && row.broken))
  if (!waits) return [root]
  const bytes = await loadObject(stores, project.id, row, signal)
  return linkTree(stores, project, root, parseTree(bytes, { legacy: isLegacy(root) }))
}
