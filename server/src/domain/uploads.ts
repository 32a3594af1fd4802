import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ObjectAnswer, PartAnswer, StandingUpload, UploadAnswer } from '@cairn/protocol/api'
import { type Digest, isLegacy, isTree } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { singleKey } from './blob-key.ts'
import { inBlocks, releaseBlock } from './blocks.ts'
import { completeUpload } from './complete-upload.ts'
import { keepLease, LEASE_SECONDS } from './lease.ts'
import { findRow, isPresent } from './objects.ts'
import { planParts, partCount, partRange } from './part-plan.ts'
import type { Bytes } from './ports/blob-store.ts'
import type { PartClaim, PartSender, ProjectRow, UploadRow } from './ports/catalog.ts'
import { createRunningHashes, type HashTurn, type RunningHashes } from './running-hashes.ts'
import { meterFor } from './side-meter.ts'
import type { Stores } from './stores.ts'
import { holdBack } from './verify-stream.ts'

export interface UploadLimits {
  /** The largest object, in bytes. */
  objectBytes: number
  /** Uploads of one project that may stand at once. */
  openUploads: number
}

export interface SendPart {
  /** Its chunks are taken. */
  bytes: Bytes
  /** 16 bytes: what the part's own md5 has to be. */
  md5?: Uint8Array | undefined
  signal: AbortSignal
}

/** A part that is going to be sent. */
export interface UploadPart {
  /** In bytes. */
  length: number
  /** Answers when the part is durable. @throws CairnError UPLOAD_UNKNOWN, UPLOAD_BUSY, DIGEST_MISMATCH, BODY_TOO_SHORT */
  send(body: SendPart): Promise<PartAnswer>
}

/** Objects that come in parts. Whoever made it closes it. */
export interface Uploads {
  /** @throws CairnError BAD_REQUEST, BODY_TOO_LARGE, UPLOADS_FULL */
  open(project: ProjectRow, digest: Digest, size: number, signal: AbortSignal): Promise<UploadAnswer>
  /** @throws CairnError UPLOAD_UNKNOWN */
  find(project: ProjectRow, uploadId: string): Promise<StandingUpload>
  /** @throws CairnError UPLOAD_UNKNOWN, BAD_REQUEST when the upload has no such part */
  findPart(project: ProjectRow, uploadId: string, number: number): Promise<UploadPart>
  /**
   * Verifies and links the object. Goes on when nobody waits any more; `undefined` after `patienceMs`: ask again.
   * @throws CairnError UPLOAD_UNKNOWN, UPLOAD_INCOMPLETE, DIGEST_MISMATCH, DIGEST_CONFLICT
   */
  complete(project: ProjectRow, uploadId: string, patienceMs: number): Promise<ObjectAnswer | undefined>
  /** @throws CairnError UPLOAD_UNKNOWN, UPLOAD_BUSY while it is being completed */
  cancel(project: ProjectRow, uploadId: string): Promise<void>
  close(): Promise<void>
}

/** How long the end of a completion that nobody waited for is told to who asks again. */
const REMEMBERED_MS = 60_000
/** Longer than a claim lives without its sender. */
const BUSY_WAIT_MS = (LEASE_SECONDS + 5) * 1000
const BUSY_LOOK_MS = 200

export function createUploads(stores: Stores, limits: UploadLimits): Uploads {
  const hashes = createRunningHashes(() => meterFor(stores, {}))
  const completions = new Map<string, Promise<ObjectAnswer>>()
  const closing = new AbortController()

  const begin = (key: string, project: ProjectRow, upload: UploadRow): Promise<ObjectAnswer> => {
    const standing = completions.get(key)
    if (standing) return standing
    const work = completeUpload(stores, project, upload, { hashes, signal: closing.signal })
    completions.set(key, work)
    const forget = () => completions.delete(key)
    const remember = () => setTimeout(forget, REMEMBERED_MS).unref()
    work.then(remember, (error: unknown) => (isCode(error, 'DIGEST_MISMATCH', 'DIGEST_CONFLICT') ? remember() : forget()))
    return work
  }

  return {
    open: (project, digest, size, signal) => openUpload(stores, limits, project, { digest, size, signal }),
    async find(project, uploadId) {
      return describe(stores, await requireUpload(stores, project, uploadId))
    },
    async findPart(project, uploadId, number) {
      const upload = await requireUpload(stores, project, uploadId)
      const length = lengthOf(upload, number)
      return { length, send: (body) => sendPart(stores, hashes, upload, { ...body, number, length }) }
    },
    async complete(project, uploadId, patienceMs) {
      const key = `${project.id}/${uploadId}`
      // The upload itself may be gone by the time that its end is asked for again.
      const work = completions.get(key) ?? begin(key, project, await requireUpload(stores, project, uploadId))
      try {
        return await withPatience(work, patienceMs)
      } catch (error) {
        if (isCode(error, 'UPLOAD_BUSY')) return undefined
        throw error
      }
    },
    async cancel(project, uploadId) {
      const upload = await requireUpload(stores, project, uploadId)
      if (!(await stores.catalog.removeUpload(uploadId))) throw busy(`upload ${uploadId} is being completed`)
      hashes.drop(uploadId)
      await stores.blobs.dropDraft(upload.draft)
    },
    async close() {
      closing.abort(new CairnError('SHUTTING_DOWN', 'the server is stopping'))
      await Promise.allSettled(completions.values())
    },
  }
}

async function openUpload(
  stores: Stores,
  limits: UploadLimits,
  project: ProjectRow,
  { digest, size, signal }: { digest: Digest; size: number; signal: AbortSignal },
): Promise<UploadAnswer> {
  if (isTree(digest)) throw new CairnError('BAD_REQUEST', `${digest}: a tree is not sent in parts`)
  if (size > limits.objectBytes) throw new CairnError('BODY_TOO_LARGE', `an object has at most ${limits.objectBytes} bytes here`)
  if (isPresent(await findRow(stores, project.id, digest))) return { upload: null, digest, size }
  const standing = await stores.catalog.findStandingUpload(project.id, digest, size)
  if (standing) return describe(stores, standing)

  const plan = planParts(size)
  const key = singleKey(project.id, digest)
  const draft = { key, ...plan, id: await stores.blobs.beginDraft(key, plan, signal) }
  const opened = await stores.catalog.openUpload(project.id, digest, draft, limits.openUploads)
  // Somebody else was quicker. A draft that is not dropped here is removed as unfinished a day later.
  if (opened === 'full' || opened.draft.key !== key) await stores.blobs.dropDraft(draft)
  if (opened === 'full') {
    throw new CairnError('UPLOADS_FULL', `the project has ${limits.openUploads} open uploads`, {
      hint: 'Complete or cancel some of them, or send the object whole.',
    })
  }
  return describe(stores, opened)
}

async function describe(stores: Stores, { id, digest, draft }: UploadRow): Promise<StandingUpload> {
  const parts = await stores.catalog.listParts(id)
  const { size, partBytes } = draft
  return { upload: id, digest, size, partBytes, received: parts.map((part) => part.number) }
}

async function requireUpload(stores: Stores, project: ProjectRow, uploadId: string): Promise<UploadRow> {
  const upload = await stores.catalog.findUpload(project.id, uploadId)
  if (!upload) throw unknownUpload()
  return upload
}

/** No id in the message: a foreign upload and none at all give the same answer. */
const unknownUpload = (): CairnError =>
  new CairnError('UPLOAD_UNKNOWN', 'no such upload here', { hint: 'Begin it again; parts that were sent count while it stands.' })

const busy = (what: string): CairnError => new CairnError('UPLOAD_BUSY', what, { hint: 'Try again in a few seconds.' })

function lengthOf(upload: UploadRow, number: number): number {
  const range = partRange(upload.draft, number)
  if (range) return range.end - range.start
  throw new CairnError('BAD_REQUEST', `the upload has parts 0 to ${partCount(upload.draft) - 1}`)
}

interface ArrivingPart extends SendPart {
  number: number
  length: number
}

async function sendPart(stores: Stores, hashes: RunningHashes, upload: UploadRow, part: ArrivingPart): Promise<PartAnswer> {
  const { number } = part
  const sender = { uploadId: upload.id, number, sender: randomUUID() }
  const { claim, askedAt } = await claimPatiently(stores, sender, part.signal)
  if (claim === 'gone') throw unknownUpload()
  if (claim === 'received') return { part: number, outcome: 'exists' }
  if (claim === 'busy') throw busy(`part ${number} is being sent by somebody else`)
  await storePart(stores, hashes, upload, { ...part, sender, askedAt })
  return { part: number, outcome: 'stored' }
}

/**
 * Waits for another sender to end, or for the claim of a dead one to lapse: nothing of the body is read meanwhile, and so
 * none of it has to be sent again.
 */
async function claimPatiently(
  stores: Stores,
  sender: PartSender,
  signal: AbortSignal,
): Promise<{ claim: PartClaim; askedAt: number }> {
  const deadline = performance.now() + BUSY_WAIT_MS
  for (;;) {
    const askedAt = performance.now()
    const claim = await stores.catalog.claimPart(sender, LEASE_SECONDS)
    if (claim !== 'busy' || askedAt > deadline) return { claim, askedAt }
    await sleep(BUSY_LOOK_MS, undefined, { signal })
  }
}

async function storePart(
  stores: Stores,
  hashes: RunningHashes,
  upload: UploadRow,
  part: ArrivingPart & { sender: PartSender; askedAt: number },
): Promise<void> {
  const { number, sender } = part
  let turn: HashTurn | undefined
  const lease = keepLease(() => stores.catalog.renewPart(sender, LEASE_SECONDS), part.signal, part.askedAt)
  try {
    turn = isLegacy(upload.digest) ? undefined : await hashes.takeTurn(upload.id, number, lease.signal)
    const bytes = exactly(part.bytes, { length: part.length, md5: part.md5, turn })
    const receipt = await stores.blobs.putPart(upload.draft, number, bytes, { signal: lease.signal, done: releaseBlock })
    lease.signal.throwIfAborted()
    if (!(await stores.catalog.settlePart(sender, receipt))) throw unknownUpload()
  } catch (error) {
    // What was hashed of a part that is not kept must not count for the one that is sent in its place.
    if ((hashes.find(upload.id)?.parts ?? 0) > number) hashes.drop(upload.id)
    await stores.catalog.settlePart(sender, undefined).catch(() => undefined)
    throw error
  } finally {
    turn?.cancel()
    lease.end()
  }
}

/** Passes a part on while it is hashed. The last chunk is held back until the length and the md5 are known to be right. */
function exactly(
  bytes: Bytes,
  wanted: { length: number; md5: Uint8Array | undefined; turn: HashTurn | undefined },
): AsyncGenerator<Uint8Array> {
  const own = wanted.md5 && createHash('md5')
  let size = 0
  return holdBack(inBlocks(bytes), {
    see(chunk) {
      size += chunk.length
      if (size > wanted.length) throw new CairnError('BODY_TOO_LARGE', `the part has ${wanted.length} bytes, and more came`)
      own?.update(chunk)
      return wanted.turn?.update(chunk)
    },
    end() {
      if (size < wanted.length) throw new CairnError('BODY_TOO_SHORT', `the part has ${wanted.length} bytes, and ${size} came`)
      if (own && Buffer.compare(own.digest(), wanted.md5 ?? Buffer.alloc(0)) !== 0)
        throw new CairnError('DIGEST_MISMATCH', 'the part does not hash to its Content-MD5', { hint: 'Send it again.' })
      wanted.turn?.end()
    },
  })
}

async function withPatience<T>(work: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds)
  })
  try {
    return await Promise.race([work, over])
  } finally {
    clearTimeout(timer)
  }
}
