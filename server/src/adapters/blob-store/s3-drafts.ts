import http from 'node:http'
import https from 'node:https'
import { CairnError } from '@cairn/protocol/error'
import { partRange } from '../../domain/part-plan.ts'
import type { BlobDraft, BlobStore, Bytes, PutOptions } from '../../domain/ports/blob-store.ts'
import { abortable } from './abortable.ts'
import { assertKey } from './key.ts'
import { isReason, type S3Client } from './s3-client.ts'
import { beginParts, completeParts } from './s3-upload.ts'
import { retrying } from './with-retry.ts'

type Drafts = Pick<BlobStore, 'beginDraft' | 'putPart' | 'completeDraft' | 'dropDraft'>

const URL_SECONDS = 3600
const CLEANUP_MS = 10_000
/** The bucket's answer once it has the whole part. */
const ANSWER_MS = 300_000

/**
 * Blobs that grow in parts, as S3's own multipart uploads. A part streams through and is never held: sent to a presigned
 * URL, for the S3 client itself would want the part's hash before its first byte. A part that fails is the sender's to repeat.
 */
export function s3Drafts(s3: S3Client): Drafts {
  const { bucket } = s3

  return {
    async beginDraft(key, _size, signal) {
      assertKey(key)
      return await beginParts(s3, key, signal)
    },

    async putPart(draft, number, bytes, { signal, done }) {
      const range = partRange(draft, number)
      if (!range) throw new Error(`the draft has no part ${number}`)
      const query = { partNumber: String(number + 1), uploadId: draft.id }
      const url = await s3.call(draft.key, signal, (client) => client.presignedUrl('PUT', bucket, draft.key, URL_SECONDS, query))
      let failure: unknown
      const source = noting(abortable(bytes, signal), (error) => (failure = error))
      try {
        return await s3.call(draft.key, signal, () =>
          sendBody(s3, new URL(url), { bytes: source, length: range.end - range.start, signal, done }),
        )
      } catch (error) {
        if (failure !== undefined) throw failure
        // An answer that comes before all of the body breaks the connection, and is lost with it.
        if (isReason(error, 'NoSuchUpload') || !(await stands(s3, draft, signal)))
          throw new CairnError('NOT_FOUND', `${draft.key}: no such draft`, { cause: error })
        throw error
      }
    },

    async completeDraft(draft, receipts, { signal }) {
      const parts = receipts.map((etag, index) => ({ part: index + 1, etag }))
      try {
        await completeParts(s3, draft.key, { uploadId: draft.id, parts, size: draft.size }, signal)
      } catch (error) {
        if (isReason(error, 'NoSuchUpload')) throw new CairnError('NOT_FOUND', `${draft.key}: no such draft`, { cause: error })
        throw error
      }
    },

    async dropDraft({ key, id }: BlobDraft) {
      const signal = AbortSignal.timeout(CLEANUP_MS)
      try {
        await retrying(() => s3.call(key, signal, (client) => client.abortMultipartUpload(bucket, key, id)), signal)
      } catch (error) {
        if (!isReason(error, 'NoSuchUpload')) throw error
      }
    },
  }
}

/** False only where the bucket says so. */
async function stands(s3: S3Client, { key, id }: BlobDraft, signal: AbortSignal): Promise<boolean> {
  const query = `max-parts=1&uploadId=${encodeURIComponent(id)}`
  try {
    await s3.call(key, signal, async (client) => {
      const answer = await client.makeRequestAsync({ method: 'GET', bucketName: s3.bucket, objectName: key, query }, '', [200])
      for await (const _ of answer);
    })
    return true
  } catch (error) {
    return !isReason(error, 'NoSuchUpload')
  }
}

/** The same bytes; tells of a failure of their source, so that it can be told from one of the bucket. */
async function* noting(bytes: Bytes, onFailure: (error: unknown) => void): AsyncGenerator<Uint8Array, void> {
  try {
    yield* bytes
  } catch (error) {
    onFailure(error)
    throw error
  }
}

/** Resolves with the part's ETag. */
async function sendBody(
  s3: S3Client,
  url: URL,
  { bytes, length, signal, done }: PutOptions & { bytes: Bytes; length: number },
): Promise<string> {
  const { request } = url.protocol === 'https:' ? https : http
  const sent = request(url, { method: 'PUT', agent: s3.agent, signal, headers: { 'content-length': length } })
  sent.once('socket', (socket) => socket.setKeepAlive(true, 30_000))
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve)
    sent.on('error', reject)
  })
  answered.catch(() => undefined)
  await Promise.race([pour(bytes, sent, done), answered])
  sent.setTimeout(ANSWER_MS, () => sent.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })))
  const answer = await answered
  const text = await readShort(answer)
  if (answer.statusCode !== 200) {
    // An answer to a body that was not taken: the connection still has the rest on it.
    sent.destroy()
    throw refusal(answer.statusCode ?? 0, text)
  }
  const etag = answer.headers.etag
  if (etag === undefined) throw refusal(200, '<Message>no ETag in the answer</Message>')
  return etag.replace(/^"|"$/g, '')
}

async function pour(bytes: Bytes, sent: http.ClientRequest, done: PutOptions['done']): Promise<void> {
  try {
    for await (const chunk of bytes) {
      if (sent.destroyed) return
      const flushed = (error?: Error | null) => {
        if (!error) done?.(chunk)
      }
      if (!sent.write(chunk, flushed)) await drained(sent)
    }
    sent.end()
  } catch (error) {
    sent.destroy(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}

function drained(sent: http.ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const events = ['drain', 'close', 'error'] as const
    const done = () => {
      for (const name of events) sent.off(name, done)
      resolve()
    }
    for (const name of events) sent.on(name, done)
  })
}

async function readShort(answer: http.IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) if (text.length < 65_536) text += String(chunk)
  return text
}

function refusal(status: number, text: string): Error {
  const code = /<Code>([^<]+)<\/Code>/.exec(text)?.[1] ?? `HTTP_${status}`
  const message = /<Message>([^<]+)<\/Message>/.exec(text)?.[1] ?? `the bucket answered ${status}`
  return Object.assign(new Error(message), { code })
}
