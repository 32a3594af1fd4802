import { type Digest, isLegacy, isTree, parseDigest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { ObjectAnswer } from '@cairn/protocol/api'
import { singleKey } from './blob-key.ts'
import { inBlocks, releaseBlock } from './blocks.ts'
import { auditConflicts, conflict } from './conflict.ts'
import { mendTrees, recordDamage } from './damage.ts'
import type { ByteRange, Bytes } from './ports/blob-store.ts'
import type { NewObject, ObjectRow, ProjectRow } from './ports/catalog.ts'
import { readAhead } from './read-ahead.ts'
import { readStored } from './recipe.ts'
import { meterFor } from './side-meter.ts'
import { SMALL_BYTES } from './small-objects.ts'
import type { Stores } from './stores.ts'
import { measureBytes, requireDigest, verifyStored, verifyStream } from './verify-stream.ts'

export interface StoreObject {
  /** undefined: the object is named by what its bytes hash to. Never a tree: those go through `storeTree`. */
  digest: Digest | undefined
  /** The row of the digest, where the caller has just looked: null when there was none. */
  standing?: ObjectRow | null | undefined
  /** Its chunks are taken. */
  bytes: Bytes
  /** The length the sender announced. */
  size: number | undefined
  /** The largest object accepted, in bytes. */
  limit: number
  signal: AbortSignal
}

/**
 * Stores one object: bytes verified, blob durable, row committed, in that order. A crash after the blob and before the row
 * leaves a blob that no row names; it is never visible. A small one shares its blob and its commit with others that arrive.
 * @throws CairnError DIGEST_MISMATCH, DIGEST_CONFLICT, BODY_TOO_LARGE, and what `bytes` and the blob store throw
 */
export async function storeObject(stores: Stores, project: ProjectRow, request: StoreObject): Promise<ObjectAnswer> {
  if (request.digest && isTree(request.digest)) throw new Error('a tree goes through storeTree')
  const standing = await standingRow(stores, project, request)
  const repairs = standing?.state === 'damaged'
  const { whole, bytes } = await readAhead(request.bytes, Math.min(SMALL_BYTES, request.limit))
  if (whole) return storeSmall(stores, project, whole, { ...request, repairs })
  const answer = await storeAlone(stores, project, { ...request, bytes })
  if (repairs && answer.outcome === 'stored') await mendTrees(stores, project.id)
  return answer
}

async function standingRow(
  stores: Stores,
  project: ProjectRow,
  { digest, standing }: StoreObject,
): Promise<ObjectRow | null | undefined> {
  return standing === undefined && digest ? findRow(stores, project.id, digest) : standing
}

async function storeSmall(
  stores: Stores,
  project: ProjectRow,
  bytes: Uint8Array,
  request: { digest: Digest | undefined; repairs: boolean; signal: AbortSignal },
): Promise<ObjectAnswer> {
  const measured = measureBytes(bytes, { legacy: request.digest !== undefined && isLegacy(request.digest) })
  if (request.digest) requireDigest(measured, request.digest)
  const digest = request.digest ?? parseDigest(measured.md5)
  const { repairs, signal } = request
  const outcome = await stores.small.store(project, { digest, bytes, measured, repairs, signal })
  return { digest, size: bytes.length, outcome }
}

async function storeAlone(stores: Stores, project: ProjectRow, request: StoreObject): Promise<ObjectAnswer> {
  const key = singleKey(project.id, request.digest)
  const { digest: wanted, size: announced, limit, signal } = request
  const meter = meterFor(stores, { digest: wanted, size: announced })
  const verified = verifyStream(inBlocks(request.bytes), { digest: wanted, limit, meter })
  await stores.blobs.put(key, verified.bytes, { signal, size: announced, done: releaseBlock })
  const { md5, sha256, size } = verified.measured()
  const digest = request.digest ?? parseDigest(md5)
  const outcome = await linkSingle(stores, project, key, { digest, size, sha256, offset: 0 })
  return { digest, size, outcome }
}

/** Links a blob of one object; `delta` says what it is made of. @throws CairnError DIGEST_CONFLICT, which is audited: two contents with one md5 are no accident. */
export async function linkSingle(
  stores: Stores,
  project: ProjectRow,
  key: string,
  object: NewObject,
  options: { state?: 'live' | 'pending'; delta?: { size: number; bases: readonly string[] } } = {},
): Promise<'stored' | 'exists'> {
  const { delta, ...state } = options
  const blob = delta ? { key, kind: 'delta' as const, ...delta } : { key, size: object.size, kind: 'single' as const }
  const [outcome] = await stores.catalog.linkBlob(project.id, blob, [object], state)
  if (outcome === undefined) throw new Error(`no outcome for ${object.digest}`)
  stores.notice({ type: 'stored', outcome, objects: 1, bytes: object.size })
  if (outcome === 'conflict') {
    await auditConflicts(stores, project, [object])
    throw conflict(object.digest)
  }
  return outcome
}

export async function findRow(stores: Stores, projectId: number, digest: Digest): Promise<ObjectRow | undefined> {
  const [row] = await stores.catalog.findObjects(projectId, [digest])
  return row
}

/** True when the project can do without another upload of the object. */
export const isPresent = (row: ObjectRow | undefined): boolean => row !== undefined && row.state === 'live' && !row.broken

/** @throws CairnError OBJECT_UNKNOWN (also for a tree that only waits in a session), OBJECT_DAMAGED */
export async function findObject(stores: Stores, project: ProjectRow, digest: Digest): Promise<ObjectRow> {
  const row = await findRow(stores, project.id, digest)
  if (row === undefined || row.state === 'pending') throw unknownObject(digest)
  if (row.state === 'damaged') {
    throw new CairnError('OBJECT_DAMAGED', `${digest}: the stored bytes are damaged`, {
      hint: 'Push again from a workstation whose cache still holds the object.',
    })
  }
  return row
}

export const unknownObject = (digest: Digest): CairnError =>
  new CairnError('OBJECT_UNKNOWN', `${digest}: no such object in this project`)

/**
 * The object's bytes, or a part of them. The blob is opened at the first read and closed when the reader stops. What is
 * read in full is verified, with its end held back; damage found on the way is recorded.
 * @throws CairnError (while it is read) OBJECT_DAMAGED, STORAGE_FAILED
 */
export async function* readObject(
  stores: Stores,
  projectId: number,
  row: ObjectRow,
  options: { range?: ByteRange | undefined; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const range = options.range ?? { start: 0, end: row.size }
  if (range.end === range.start) return
  try {
    const source = readStored(stores, row, range, options.signal)
    const whole = range.start === 0 && range.end === row.size
    yield* whole ? verifyStored(source, row) : expectBytes(source, range.end - range.start, row.digest)
  } catch (error) {
    if (!isCode(error, 'OBJECT_DAMAGED', 'NOT_FOUND')) throw error
    const reason = error instanceof Error ? error.message : String(error)
    await recordDamage(stores, projectId, [row], reason)
    throw new CairnError('OBJECT_DAMAGED', `${row.digest}: the stored bytes are damaged`, { cause: error })
  }
}

async function* expectBytes(source: Bytes, wanted: number, digest: Digest): AsyncGenerator<Uint8Array> {
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    yield chunk
  }
  if (size !== wanted) throw new CairnError('OBJECT_DAMAGED', `${digest}: the blob ended ${wanted - size} bytes early`)
}

/** The whole of a small object, verified. The caller has checked `row.size`. @throws as `readObject` */
export async function loadObject(stores: Stores, projectId: number, row: ObjectRow, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(row.size)
  let filled = 0
  for await (const chunk of readObject(stores, projectId, row, { signal })) {
    bytes.set(chunk, filled)
    filled += chunk.length
  }
  return bytes
}
