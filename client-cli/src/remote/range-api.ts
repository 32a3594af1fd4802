import type { IncomingMessage } from 'node:http'
import type { Digest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { Span } from '../cache/byte-spans.ts'
import type { HttpClient } from './http-client.ts'
import type { RangeReader } from './http-line.ts'
import type { PathOf } from './uploads-api.ts'

/**
 * Asks for a part of an object. `wanted` is asked once an attempt, so that a repetition wants only the rest, and `reader` gets
 * the bytes from its start, and no more than that; it is begun with every answer. `gone`: there is no such object;
 * `no ranges`: the server sends only the whole.
 */
export type FetchRange = (
  digest: Digest,
  wanted: () => Span,
  reader: RangeReader,
  signal: AbortSignal,
) => Promise<'read' | 'gone' | 'no ranges'>

const GONE = [404, 410]
/** What an empty object says to any range. */
const UNSATISFIABLE = 416

export function createFetchRange(http: HttpClient, at: PathOf): FetchRange {
  return async (digest, wanted, reader, signal) => {
    const path = at(`objects/${digest}`)
    if (await http.readRange({ path, span: wanted(), signal }, reader)) return 'read'
    let span = wanted()
    const request = {
      method: 'GET' as const,
      path,
      signal,
      accept: [...GONE, UNSATISFIABLE],
      get headers() {
        span = wanted()
        return { range: `bytes=${span.start}-${span.end - 1}` }
      },
    }
    return http.send(request, async (answer) => {
      if (GONE.includes(answer.statusCode ?? 0)) return 'gone'
      if (answer.statusCode !== 206) return 'no ranges'
      reader.begin(sizeOf(answer, span, http))
      let left = span.end - span.start
      for await (const chunk of answer as AsyncIterable<Uint8Array>) {
        const part = chunk.subarray(0, left)
        left -= part.length
        if (part.length > 0) reader.add(part)
        if (left === 0) break
      }
      return 'read'
    })
  }
}

function sizeOf(answer: IncomingMessage, span: Span, http: HttpClient): number {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.headers['content-range'] ?? '')
  const [start, size] = [Number(match?.[1]), Number(match?.[3])]
  if (match && start === span.start && size >= span.start) return size
  throw new CairnError('REMOTE_FAILED', `${http.base.origin}: asked for bytes from ${span.start}, got another range`, { exit: 1 })
}
