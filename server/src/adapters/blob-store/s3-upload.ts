import type { Bytes, PutOptions } from '../../domain/ports/blob-store.ts'
import { abortable } from './abortable.ts'
import { createFiller, type Filler } from './filler.ts'
import type { PartBuffers } from './part-buffers.ts'
import type { S3Client } from './s3-client.ts'
import { retrying } from './with-retry.ts'

const MIB = 1 << 20
/** What is sent while the rest still arrives. Larger ones gain little, and take memory from other uploads. */
const PART = 8 * MIB
/** With a known length up to here, one PUT saves the two requests around parts. */
const SINGLE = 2 * PART
const CLEANUP_MS = 10_000
const HEADERS = { 'content-type': 'application/octet-stream' }

export interface UploadOptions extends PutOptions {
  size?: number | undefined
  buffers: PartBuffers
}

/**
 * Stores bytes under a key: one PUT for what is short, in parts otherwise. Everything is sent from memory, so that a failed
 * request can be repeated, and nothing of a source that throws is ever completed. Resolves with the number of bytes. Holds
 * one buffer, and a second one that fills while the first is sent if there is room for it.
 */
export async function upload(s3: S3Client, key: string, bytes: Bytes, options: UploadOptions): Promise<number> {
  const { buffers, signal, size } = options
  const source = createFiller(abortable(bytes, signal), options.done)
  const slots: Slots = { current: undefined, spare: undefined }
  try {
    const length = size !== undefined && size <= SINGLE ? Math.max(1, size) : partLength(0, size)
    slots.current = await buffers.take(length, signal)
    const first = await source.fill(slots.current)
    if (await source.ended()) return await putSingle(s3, key, first, signal)
    return await putParts(s3, key, { source, slots, first }, options)
  } finally {
    source.leave()
    for (const buffer of [slots.current, slots.spare]) if (buffer) buffers.give(buffer)
  }
}

/** The buffers that an upload holds: what is sent rests in `current`. */
interface Slots {
  current: Buffer | undefined
  spare: Buffer | undefined
}

async function putSingle(s3: S3Client, key: string, blob: Buffer, signal: AbortSignal): Promise<number> {
  try {
    await retrying(
      () =>
        s3.call(key, signal, async (client) => {
          const request = { method: 'PUT', bucketName: s3.bucket, objectName: key, headers: { ...HEADERS } }
          const response = await client.makeRequestAsync(request, blob)
          for await (const _ of response);
        }),
      signal,
    )
    return blob.length
  } catch (error) {
    // The bytes may have arrived although the answer did not.
    await forget(s3, key, undefined)
    throw error
  }
}

async function putParts(
  s3: S3Client,
  key: string,
  { source, slots, first }: { source: Filler; slots: Slots; first: Buffer },
  options: UploadOptions,
): Promise<number> {
  const { signal } = options
  const call = <T>(fn: Parameters<typeof s3.call<T>>[2]): Promise<T> => retrying(() => s3.call(key, signal, fn), signal)
  const uploadId = await beginParts(s3, key, signal)
  const sent: Array<{ part: number; etag: string }> = []
  const send = async (part: Buffer): Promise<number> => {
    const place = { bucketName: s3.bucket, objectName: key, uploadID: uploadId, partNumber: sent.length + 1 }
    const { etag } = await call((client) => client.uploadPart({ ...place, headers: {} }, part))
    sent.push({ part: place.partNumber, etag })
    return part.length
  }
  try {
    let size = 0
    for (let part = first; part.length > 0;) {
      const length = partLength(sent.length + 1, options.size)
      const following = fillMeanwhile(source, slots, length, options)
      size += await send(part)
      part = following ? await following : await fillAfterwards(source, slots, length, options)
    }
    await completeParts(s3, key, { uploadId, parts: sent, size }, signal)
    return size
  } catch (error) {
    await forget(s3, key, uploadId)
    throw error
  }
}

/** Fills a second buffer where there is room for one; the two change places. */
function fillMeanwhile(source: Filler, slots: Slots, length: number, { buffers }: UploadOptions): Promise<Buffer> | undefined {
  if (slots.spare && slots.spare.length < length) {
    buffers.give(slots.spare)
    slots.spare = undefined
  }
  slots.spare ??= buffers.tryTake(length)
  if (!slots.spare) return undefined
  const { current, spare } = slots
  slots.current = spare
  slots.spare = current
  const filled = source.fill(spare)
  filled.catch(() => undefined)
  return filled
}

async function fillAfterwards(source: Filler, slots: Slots, length: number, { buffers, signal }: UploadOptions): Promise<Buffer> {
  if (slots.current && slots.current.length < length) {
    buffers.give(slots.current)
    slots.current = undefined
  }
  slots.current ??= await buffers.take(length, signal)
  return source.fill(slots.current)
}

/** Resolves with what the bucket calls the upload. */
export const beginParts = (s3: S3Client, key: string, signal: AbortSignal): Promise<string> =>
  retrying(() => s3.call(key, signal, (client) => client.initiateNewMultipartUpload(s3.bucket, key, { ...HEADERS })), signal)

/** May be repeated: where the upload is gone, the blob itself tells whether it was completed. */
export async function completeParts(
  s3: S3Client,
  key: string,
  upload: { uploadId: string; parts: Array<{ part: number; etag: string }>; size: number },
  signal: AbortSignal,
): Promise<void> {
  try {
    await retrying(
      () => s3.call(key, signal, (client) => client.completeMultipartUpload(s3.bucket, key, upload.uploadId, upload.parts)),
      signal,
    )
  } catch (error) {
    // When an answer was lost, the second attempt finds no upload any more; the blob itself tells.
    const found = await s3.call(key, signal, (client) => client.statObject(s3.bucket, key)).catch(() => undefined)
    if (found?.size !== upload.size) throw error
  }
}

/** Leaves nothing visible of a failed upload. Where the store is down, the parts stay for removeUnfinished. */
async function forget(s3: S3Client, key: string, uploadId: string | undefined): Promise<void> {
  const signal = AbortSignal.timeout(CLEANUP_MS)
  const attempts = [
    ...(uploadId === undefined ? [] : [s3.call(key, signal, (client) => client.abortMultipartUpload(s3.bucket, key, uploadId))]),
    s3.call(key, signal, (client) => client.removeObject(s3.bucket, key)),
  ]
  await Promise.allSettled(attempts)
}

/** S3 takes 10,000 parts: their length follows the size where it is known, and doubles every 1,500 parts where it is not. */
function partLength(number: number, size: number | undefined): number {
  if (size === undefined) return PART * 2 ** Math.floor(number / 1500)
  return Math.max(PART, Math.ceil(size / 9000 / MIB) * MIB)
}
