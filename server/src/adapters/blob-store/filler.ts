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

export function createFiller(bytes: Bytes): Filler {
  const source = bytes[Symbol.asyncIterator]()
  let chunk: Uint8Array = new Uint8Array()
  let done = false
  let left = false

  const advance = async (): Promise<boolean> => {
    while (chunk.length === 0 && !done) {
      const read = await source.next()
      if (read.done) done = true
      else chunk = read.value
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
