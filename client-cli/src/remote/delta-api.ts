import type { RemoteInfo } from '@cairn/protocol/api'
import { type Chunk, unpackChunks } from '@cairn/protocol/chunks'
import { type DeltaStream, openDelta } from '@cairn/protocol/delta-stream'
import { type Digest, packDigests } from '@cairn/protocol/digest'
import { CairnError, type ErrorCode, isCode } from '@cairn/protocol/error'
import { CHUNKS_TYPE, DELTA_TYPE, DIGESTS_TYPE } from '@cairn/protocol/limits'
import type { Span } from '../cache/byte-spans.ts'
import type { HttpClient } from './http-client.ts'
import { type HttpBody, readBytes } from './http-exchange.ts'
import type { FetchRange } from './range-api.ts'

/** The requests about differences, one function each. They throw what HttpClient throws. */
export interface DeltaApi {
  /** Whether it is worth asking. */
  offered(): boolean
  send(digest: Digest, body: () => HttpBody, options: { session: string; signal: AbortSignal }): Promise<void>
  /** Reads the difference to some of `have`; undefined when the server knows none. `read` is called again when the line broke. */
  fetch<T>(
    digest: Digest,
    have: readonly Digest[],
    read: (delta: DeltaStream) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T | undefined>
  chunks(digest: Digest, signal: AbortSignal): Promise<Chunk[]>
  /** A part that fits into memory. @throws CairnError OBJECT_UNKNOWN, REMOTE_FAILED when it is no part that comes */
  part(digest: Digest, span: Span, signal: AbortSignal): Promise<Uint8Array>
  /** Whether the whole of a large object takes longer on this line than hashing it here and there. Asks once; reads a MiB of the object. */
  isSlow(digest: Digest, signal: AbortSignal): Promise<boolean>
}

const PROBE_BYTES = 1024 * 1024
/**
 * Cutting a file into chunks goes at 350 MB a second on either side, one after the other, and what has to be sent or written
 * anyway is hashed as well: below this speed a difference wins.
 */
const SLOW_BYTES_PER_SECOND = 80e6

export function createDeltaApi(http: HttpClient, info: RemoteInfo, fetchRange: FetchRange): DeltaApi {
  let offered = info.capabilities.includes('deltas')
  let slow: Promise<boolean> | undefined
  const at = (path: string) => `${info.base}/${path}`
  /** What a server said about itself is believed for a day, and it may have changed its mind. */
  const watch = async <T>(asking: Promise<T>): Promise<T> => {
    try {
      return await asking
    } catch (error) {
      if (isCode(error, 'NOT_FOUND')) offered = false
      throw error
    }
  }
  const part = async (digest: Digest, { start, end }: Span, signal: AbortSignal) => {
    const bytes = Buffer.allocUnsafe(end - start)
    let filled = 0
    const add = (chunk: Uint8Array) => {
      bytes.set(chunk, filled)
      filled += chunk.length
    }
    const outcome = await fetchRange(digest, () => ({ start: start + filled, end }), { begin: () => undefined, add }, signal)
    if (outcome === 'gone') throw new CairnError('OBJECT_UNKNOWN', `the server has no object '${digest}' any more`)
    if (outcome === 'no ranges') throw new CairnError('REMOTE_FAILED', `the server sends '${digest}' as a whole only`)
    return bytes.subarray(0, filled)
  }
  const measure = async (digest: Digest, signal: AbortSignal) => {
    // Opens the connection: a new one is no slow one.
    await part(digest, { start: 0, end: 1 }, signal)
    const begun = performance.now()
    const { length } = await part(digest, { start: 0, end: PROBE_BYTES }, signal)
    return length / ((performance.now() - begun) / 1000) < SLOW_BYTES_PER_SECOND
  }
  return {
    offered: () => offered,
    async send(digest, body, { session, signal }) {
      const path = at(`deltas?${new URLSearchParams({ digest, session }).toString()}`)
      await watch(http.json({ method: 'POST', path, headers: { 'content-type': DELTA_TYPE }, body, signal }))
    },
    fetch: (digest, have, read, signal) => {
      const headers = { 'content-type': DIGESTS_TYPE, accept: DELTA_TYPE }
      const request = {
        method: 'POST' as const,
        path: at(`deltas/fetch?digest=${digest}`),
        headers,
        body: () => packDigests(have),
        signal,
      }
      return watch(
        http.send(request, async (answer) => {
          if (answer.statusCode === 204) return undefined
          const delta = await openDelta(answer as AsyncIterable<Uint8Array>)
          try {
            return await read(delta)
          } finally {
            await delta.close()
          }
        }),
      )
    },
    chunks: (digest, signal) =>
      watch(
        http.send(
          { method: 'GET', path: at(`objects/${digest}/chunks`), headers: { accept: CHUNKS_TYPE }, signal },
          async (answer) => unpackChunks(await readBytes(answer)),
        ),
      ),
    part,
    isSlow: (digest, signal) => (slow ??= measure(digest, signal)),
  }
}

const ELSEWHERE: readonly ErrorCode[] = [
  'BAD_DELTA',
  'BASE_UNKNOWN',
  'DIGEST_MISMATCH',
  'BAD_REQUEST',
  'NOT_FOUND',
  'OBJECT_UNKNOWN',
  'OBJECT_DAMAGED',
  'BODY_TOO_LARGE',
  'OVERLOADED',
  'REMOTE_FAILED',
]

/** A failure of the difference that says nothing against the whole; also that of a base which left the cache meanwhile. */
export const wholeInstead = (error: unknown): boolean => isCode(error, ...ELSEWHERE, 'ENOENT')
