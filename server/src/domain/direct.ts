import { randomUUID } from 'node:crypto'
import type { DirectGetAnswer, DirectPutAnswer, ObjectAnswer } from '@cairn/protocol/api'
import { type Digest, isTree, md5Of } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { MAX_DIRECT_BYTES } from '@cairn/protocol/limits'
import { isSingleKey, singleKey } from './blob-key.ts'
import { mendTrees } from './damage.ts'
import { findRow, isPresent, linkSingle, unknownObject } from './objects.ts'
import type { DirectAccess } from './ports/blob-store.ts'
import type { DirectUpload, ObjectRow, ProjectRow } from './ports/catalog.ts'
import type { Stores } from './stores.ts'

/**
 * How long a URL opens anything, in seconds: enough to begin with, also behind other transfers. What has begun goes on, and
 * a reader asks for another one.
 */
const URL_SECONDS = 15 * 60

/** A small object in the bucket that is no secret to nobody but strangers: who reads it through a URL reaches this bucket. */
export interface Challenge {
  key: string
  /** In hex. */
  sha256: string
}

/** What was proved of the bucket. */
export interface DirectOffer {
  put: boolean
  get: boolean
  challenge: Challenge
}

export interface WantedUpload {
  digest: Digest
  size: number
  /** In hex. */
  sha256: string
}

/**
 * URLs to store objects straight into the bucket, each under a fresh key and good for exactly these bytes: the bucket
 * refuses others, as was proved before it was offered. Whoever sends the same bytes again, later but in time, changes nothing.
 * Objects that are present get none.
 * @throws CairnError BAD_REQUEST, BODY_TOO_LARGE
 */
export async function offerUploads(
  stores: Stores,
  project: ProjectRow,
  wanted: readonly WantedUpload[],
  options: { challenge: Challenge; limit: number },
): Promise<DirectPutAnswer> {
  const access = accessOf(stores)
  for (const object of wanted) refuseUnfit(object, Math.min(options.limit, MAX_DIRECT_BYTES))
  const rows = await stores.catalog.findObjects(
    project.id,
    wanted.map((object) => object.digest),
  )
  const present = new Set(rows.filter(isPresent).map((row) => row.digest))
  const uploads = wanted
    .filter((object) => !present.has(object.digest))
    .map(({ digest, size, sha256 }): DirectUpload => ({
      id: randomUUID(),
      digest,
      size,
      sha256: Buffer.from(sha256, 'hex'),
      key: singleKey(project.id, digest),
    }))
  // Noted before anybody can use a URL, so that nothing reaches the bucket that no row names.
  if (uploads.length > 0) await stores.catalog.addDirectUploads(project.id, uploads)
  return {
    ...times(stores, access, options.challenge),
    uploads: uploads.map(({ id, digest, size, sha256, key }) => {
      const bytes = { md5: Buffer.from(md5Of(digest), 'hex'), sha256, size, expires: URL_SECONDS }
      return { digest, upload: id, ...access.put(key, bytes) }
    }),
  }
}

function refuseUnfit({ digest, size }: WantedUpload, limit: number): void {
  if (isTree(digest)) throw new CairnError('BAD_REQUEST', `${digest}: a tree goes through the server, which reads it`)
  if (size > limit) throw new CairnError('BODY_TOO_LARGE', `${digest}: at most ${limit} bytes go straight to the bucket`)
}

/**
 * Links what was stored. The bucket has compared md5, sha256 and length with what the URL was signed for, so a blob of that
 * length under that key is the object. May be repeated: what was linked before `exists`.
 * @throws CairnError UPLOAD_UNKNOWN, UPLOAD_INCOMPLETE, DIGEST_CONFLICT
 */
export async function commitUploads(
  stores: Stores,
  project: ProjectRow,
  named: ReadonlyArray<{ digest: Digest; upload: string }>,
): Promise<ObjectAnswer[]> {
  const found = await stores.catalog.findDirectUploads(
    project.id,
    named.map(({ upload }) => upload),
  )
  const byId = new Map(found.map((upload) => [upload.id, upload]))
  const answers: ObjectAnswer[] = []
  for (const { digest, upload } of named) answers.push(await commitUpload(stores, project, digest, byId.get(upload)))
  return answers
}

async function commitUpload(
  stores: Stores,
  project: ProjectRow,
  digest: Digest,
  upload: DirectUpload | undefined,
): Promise<ObjectAnswer> {
  const standing = await findRow(stores, project.id, digest)
  if (upload?.digest !== digest) {
    if (standing && isPresent(standing)) return { digest, size: standing.size, outcome: 'exists' }
    throw new CairnError('UPLOAD_UNKNOWN', `${digest}: no such upload`, { hint: 'Push again.' })
  }
  const { key, size, sha256 } = upload
  if ((await stores.blobs.stat(key))?.size !== size)
    throw new CairnError('UPLOAD_INCOMPLETE', `${digest}: its bytes are not in the bucket`, { hint: 'Push again.' })
  const outcome = await linkOnce(stores, project, upload, { digest, size, sha256, offset: 0 })
  // A crash before this leaves a row that the next expiry removes; its key has a blob by now.
  await stores.catalog.removeDirectUploads([upload.id])
  if (standing?.state === 'damaged' && outcome === 'stored') await mendTrees(stores, project.id)
  return { digest, size, outcome }
}

/** A repeated commit that meets the first one finds the key taken, by this very object. */
async function linkOnce(
  stores: Stores,
  project: ProjectRow,
  { key, digest }: DirectUpload,
  object: Parameters<typeof linkSingle>[3],
): Promise<'stored' | 'exists'> {
  const isLinked = async () => (await findRow(stores, project.id, digest))?.key === key
  if (await isLinked()) return 'exists'
  try {
    return await linkSingle(stores, project, key, object)
  } catch (error) {
    if (await isLinked()) return 'exists'
    throw error
  }
}

/**
 * URLs to read objects straight from the bucket. An object that shares its blob with others gets none: its URL would show
 * the neighbours.
 * @throws CairnError OBJECT_UNKNOWN for the first that this project does not have, or has damaged
 */
export async function offerDownloads(
  stores: Stores,
  project: ProjectRow,
  digests: readonly Digest[],
  challenge: Challenge,
): Promise<DirectGetAnswer> {
  const access = accessOf(stores)
  const rows = new Map((await stores.catalog.findObjects(project.id, digests)).map((row) => [row.digest, row]))
  return {
    ...times(stores, access, challenge),
    objects: digests.map((digest) => {
      const row = rows.get(digest)
      if (row?.state !== 'live') throw unknownObject(digest)
      const url = directUrl(stores, row)
      return { digest, size: row.size, ...(url === undefined ? {} : { url }) }
    }),
  }
}

/** A URL for GETs of this object alone; undefined when there can be none. */
export function directUrl(stores: Stores, row: ObjectRow): string | undefined {
  if (!isSingleKey(row.key) || row.offset !== 0) return undefined
  return stores.blobs.direct?.get(row.key, { expires: URL_SECONDS })
}

function times(stores: Stores, access: DirectAccess, challenge: Challenge): Pick<DirectPutAnswer, 'expiresAt' | 'check'> {
  return {
    expiresAt: new Date(stores.clock.now().getTime() + URL_SECONDS * 1000).toISOString(),
    check: { url: access.get(challenge.key, { expires: URL_SECONDS }), sha256: challenge.sha256 },
  }
}

function accessOf({ blobs }: Stores): DirectAccess {
  if (!blobs.direct) throw new Error('the blob store has no addresses')
  return blobs.direct
}
