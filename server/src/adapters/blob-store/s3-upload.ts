import type { Bytes } from '../../domain/ports.ts'
import { abortable } from './abortable.ts'
import type { S3Client } from './s3-client.ts'
import { retrying } from './with-retry.ts'

const MIB = 1 << 20
// Two parts are in memory at once, so 32 MiB an upload: one is sent while the next fills. What fits into one is sent
// with one PUT; larger ones gain more by being sent while they arrive than by fewer requests.
const PART = 16 * MIB
const CLEANUP_MS = 10_000

/**
 * Stores bytes under a key: one PUT for what is short, in parts otherwise. Everything is sent from memory, so that a failed
 * request can be repeated, and nothing of a source that throws is ever completed. Resolves with the number of bytes.
 */
export async function upload(
  s3: S3Client,
  key: string,
  bytes: Bytes,
  options: { signal: AbortSignal; size?: number | undefined },
): Promise<number> {
  const parts = partsOf(abortable(bytes, options.signal), options.size)
  try {
    const first = await nextPart(parts)
    const second = await nextPart(parts)
    if (!second) return await putSingle(s3, key, first ?? Buffer.alloc(0), options.signal)
    return await putParts(s3, key, [first ?? Buffer.alloc(0), second], parts, options.signal)
  } finally {
    // Not awaited: when an upload failed, the source may be silent for long.
    parts.return().catch(() => undefined)
  }
}

async function nextPart(parts: AsyncGenerator<Buffer, void>): Promise<Buffer | undefined> {
  const step = await parts.next()
  return step.done ? undefined : step.value
}

async function putSingle(s3: S3Client, key: string, blob: Buffer, signal: AbortSignal): Promise<number> {
  const headers = { 'content-type': 'application/octet-stream' }
  try {
    await retrying(
      () =>
        s3.call(key, signal, async (client) => {
          const request = { method: 'PUT', bucketName: s3.bucket, objectName: key, headers: { ...headers } }
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
  [first, second]: [Buffer, Buffer],
  parts: AsyncGenerator<Buffer, void>,
  signal: AbortSignal,
): Promise<number> {
  const call = <T>(fn: Parameters<typeof s3.call<T>>[2]): Promise<T> => retrying(() => s3.call(key, signal, fn), signal)
  const uploadId = await call((client) =>
    client.initiateNewMultipartUpload(s3.bucket, key, { 'content-type': 'application/octet-stream' }),
  )
  const sent: Array<{ part: number; etag: string }> = []
  const send = async (part: Buffer): Promise<number> => {
    const place = { bucketName: s3.bucket, objectName: key, uploadID: uploadId, partNumber: sent.length + 1 }
    const { etag } = await call((client) => client.uploadPart({ ...place, headers: {} }, part))
    sent.push({ part: place.partNumber, etag })
    return part.length
  }
  try {
    let size = await send(first)
    for (let part: Buffer | undefined = second; part;) {
      const following = nextPart(parts)
      following.catch(() => undefined)
      size += await send(part)
      part = await following
    }
    await completeParts(s3, key, { uploadId, parts: sent, size }, signal)
    return size
  } catch (error) {
    await forget(s3, key, uploadId)
    throw error
  }
}

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

/** The bytes in parts: all of the length that their number calls for, but the last. Nothing at all is no part. */
async function* partsOf(bytes: Bytes, size: number | undefined): AsyncGenerator<Buffer, void> {
  let number = 0
  let part: Buffer = Buffer.allocUnsafeSlow(Math.min(size ?? MIB, partLength(0, size)))
  let filled = 0
  for await (const chunk of bytes) {
    for (let taken = 0; taken < chunk.length;) {
      if (filled === part.length) {
        const full = partLength(number, size)
        if (part.length < full) part = grow(part, Math.min(full, Math.max(MIB, 2 * part.length)))
        else {
          yield part
          number++
          filled = 0
          part = Buffer.allocUnsafeSlow(partLength(number, size))
        }
      }
      const piece = chunk.subarray(taken, taken + part.length - filled)
      part.set(piece, filled)
      filled += piece.length
      taken += piece.length
    }
  }
  if (filled > 0) yield part.subarray(0, filled)
}

/** S3 takes 10,000 parts: their length follows the size where it is known, and doubles every 2,000 parts where it is not. */
function partLength(number: number, size: number | undefined): number {
  if (size === undefined) return PART * 2 ** Math.floor(number / 2000)
  return Math.max(PART, Math.ceil(size / 9000 / MIB) * MIB)
}

function grow(part: Buffer, length: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(length)
  larger.set(part)
  return larger
}
