import type { Bytes } from './ports/blob-store.ts'

/** What a sender sent when it was short, or the whole stream again with what was read of it in front. */
export type ReadAhead = { whole: Uint8Array; bytes?: undefined } | { whole?: undefined; bytes: Bytes }

/**
 * Reads up to `limit` bytes to see whether there are more. Holds those and one chunk. `bytes` is to be read once; the source
 * is given back when its reader stops.
 */
export async function readAhead(source: Bytes, limit: number): Promise<ReadAhead> {
  const chunks: Uint8Array[] = []
  let size = 0
  const iterator = source[Symbol.asyncIterator]()
  for (;;) {
    const { value, done } = await iterator.next()
    if (done) break
    chunks.push(value)
    size += value.length
    if (size > limit) return { bytes: continued(chunks, iterator) }
  }
  const [first] = chunks
  return { whole: first && chunks.length === 1 ? first : Buffer.concat(chunks, size) }
}

async function* continued(chunks: Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let ended = false
  try {
    for (let chunk = chunks.shift(); chunk; chunk = chunks.shift()) yield chunk
    for (;;) {
      const { value, done } = await rest.next()
      if (done) break
      yield value
    }
    ended = true
  } finally {
    if (!ended) await rest.return?.()
  }
}
