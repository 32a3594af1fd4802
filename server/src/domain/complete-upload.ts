import { randomUUID } from 'node:crypto'
import type { ObjectAnswer } from '@cairn/protocol/api'
import { CairnError, isCode } from '@cairn/protocol/error'
import { inBlocks, releaseBlock } from './blocks.ts'
import { mendTrees } from './damage.ts'
import { keepLease, LEASE_SECONDS } from './lease.ts'
import { findRow, isPresent, linkSingle } from './objects.ts'
import { partCount } from './part-plan.ts'
import type { ProjectRow, UploadRow } from './ports/catalog.ts'
import type { RunningHashes } from './running-hashes.ts'
import { meterFor } from './side-meter.ts'
import type { Stores } from './stores.ts'
import { type Measured, type Meter, requireDigest } from './verify-stream.ts'

export interface Completion {
  hashes: RunningHashes
  signal: AbortSignal
}

const NAMED_PARTS = 1000

/**
 * Makes an object of an upload: all parts there, bytes verified, blob durable, row committed, in that order. One process does
 * it at a time; one that died half way is followed by another. Every step may be repeated.
 * @throws CairnError UPLOAD_INCOMPLETE, UPLOAD_BUSY; DIGEST_MISMATCH, DIGEST_CONFLICT, after which the upload is gone
 */
export async function completeUpload(
  stores: Stores,
  project: ProjectRow,
  upload: UploadRow,
  { hashes, signal }: Completion,
): Promise<ObjectAnswer> {
  const { catalog } = stores
  const completer = randomUUID()
  const claim = () => catalog.claimCompletion(upload.id, completer, LEASE_SECONDS)
  const askedAt = performance.now()
  if (!(await claim()))
    throw new CairnError('UPLOAD_BUSY', 'the upload is being completed', { hint: 'Ask again in a few seconds.' })
  const lease = keepLease(claim, signal, askedAt)
  try {
    const outcome = await verifyAndLink(stores, project, upload, { hashes, completer, signal: lease.signal })
    return { digest: upload.digest, size: upload.draft.size, outcome }
  } catch (error) {
    await catalog.endCompletion(upload.id, completer).catch(() => undefined)
    throw error
  } finally {
    lease.end()
  }
}

interface Step extends Completion {
  completer: string
}

async function verifyAndLink(stores: Stores, project: ProjectRow, upload: UploadRow, step: Step): Promise<'stored' | 'exists'> {
  const { digest, draft } = upload
  const standing = await findRow(stores, project.id, digest)
  if (standing && isPresent(standing)) return await settleStanding(stores, upload, step, standing.key)
  const receipts = await requireParts(stores, upload)
  const { size, sha256 } = await measure(stores, upload, receipts, step)
  step.signal.throwIfAborted()
  try {
    const outcome = await linkSingle(stores, project, draft.key, { digest, size, sha256, offset: 0 })
    await forget(stores, upload, step)
    if (standing?.state === 'damaged' && outcome === 'stored') await mendTrees(stores, project.id)
    return outcome
  } catch (error) {
    // The blob is in the trash by now: it gained no object.
    if (isCode(error, 'DIGEST_CONFLICT')) await forget(stores, upload, step)
    throw error
  }
}

/** The object came another way meanwhile, or by an earlier attempt of this that did not come to its end. */
async function settleStanding(stores: Stores, upload: UploadRow, step: Step, key: string): Promise<'stored' | 'exists'> {
  const ours = key === upload.draft.key
  await forget(stores, upload, step, { trash: !ours })
  if (!ours) await stores.blobs.dropDraft(upload.draft)
  return ours ? 'stored' : 'exists'
}

async function forget(stores: Stores, upload: UploadRow, step: Step, options: { trash?: boolean } = {}): Promise<void> {
  step.hashes.drop(upload.id)
  await stores.catalog.removeUpload(upload.id, { completer: step.completer, ...options })
}

async function requireParts(stores: Stores, upload: UploadRow): Promise<string[]> {
  const receipts = new Map((await stores.catalog.listParts(upload.id)).map((part) => [part.number, part.receipt]))
  const count = partCount(upload.draft)
  const missing: number[] = []
  for (let number = 0; number < count && missing.length < NAMED_PARTS; number++) if (!receipts.has(number)) missing.push(number)
  if (missing.length > 0)
    throw new CairnError('UPLOAD_INCOMPLETE', `${count - receipts.size} of the upload's ${count} parts are missing`, {
      data: { missing },
    })
  return [...receipts].toSorted(([a], [b]) => a - b).map(([, receipt]) => receipt)
}

/** What the stored bytes are. With wrong ones the upload is dropped. */
async function measure(stores: Stores, upload: UploadRow, receipts: readonly string[], step: Step): Promise<Measured> {
  const { digest, draft } = upload
  const { signal } = step
  const known = step.hashes.find(upload.id)
  const meter = known?.meter.copy() ?? meterFor(stores, { digest, size: draft.size })
  try {
    // With all of it hashed, wrong bytes never become a blob.
    if (meter.size === draft.size) {
      const measured = await meter.finish()
      requireDigest(measured, digest)
      await stores.blobs.completeDraft(draft, receipts, { signal })
      return measured
    }
    await stores.blobs.completeDraft(draft, receipts, { signal })
    await readRest(stores, upload, meter, signal)
    const measured = await meter.finish()
    requireDigest(measured, digest)
    return measured
  } catch (error) {
    // A hash that failed once fails always: the next attempt reads what was stored.
    if (!(error instanceof CairnError)) step.hashes.drop(upload.id)
    if (!isCode(error, 'DIGEST_MISMATCH')) throw error
    await forget(stores, upload, step, { trash: true })
    await stores.blobs.dropDraft(draft)
    throw error
  } finally {
    meter.close()
  }
}

async function readRest(stores: Stores, { draft }: UploadRow, meter: Meter, signal: AbortSignal): Promise<void> {
  const stream = await stores.blobs.get(draft.key, { range: { start: meter.size, end: draft.size }, signal })
  try {
    for await (const block of inBlocks(stream)) {
      await meter.update(block)
      releaseBlock(block)
    }
  } finally {
    stream.destroy()
  }
  if (meter.size !== draft.size)
    throw new CairnError('STORAGE_FAILED', `${draft.key}: ${meter.size} of ${draft.size} bytes came back from the blob store`)
}
