import type { Bytes } from '../../domain/ports/blob-store.ts'

/** Reads a stream into buffers that somebody else owns. One call at a time. */
export interface Filler {
  /** The part of `buffer` that was filled: all of it, unless the stream ended before. */
  fill(buffer: Buffer): Promise<Buffer>
  /** Whether nothing is left. Reads ahead by one chunk. */
  ended(): Promise<boolean>
  /** Gives the stream back; a fill that is under way writes nothing more, and rejects. Not waited for: one that is silent answers only when its next chunk comes. */
  leave(): void
}

/** `done` is told of each chunk whose bytes are in a buffer. */
export function createFiller(bytes: Bytes, done?: (chunk: Uint8Array) => void): Filler {
  const source = bytes[Symbol.asyncIterator]()
  let whole: Uint8Array = new Uint8Array()
  let chunk = whole
  let over = false
  let left = false

  const advance = async (): Promise<boolean> => {
    while (chunk.length === 0 && !over) {
      const read = await source.next()
      if (read.done) over = true
      else whole = chunk = read.value
    }
    return chunk.length > 0
  }

  return {
    async fill(buffer) {
      let filled = 0
      while (filled < buffer.length && (await advance())) {
        // The buffer may be somebody else's by now.
        if (left) throw new Error('the stream was left')
        const piece = chunk.subarray(0, buffer.length - filled)
        buffer.set(piece, filled)
        filled += piece.length
        chunk = chunk.subarray(piece.length)
        if (chunk.length === 0) done?.(whole)
      }
      return buffer.subarray(0, filled)
    },
    ended: async () => !(await advance()),
    leave() {
      left = true
      source.return?.().catch(() => undefined)
    },
  }
}
