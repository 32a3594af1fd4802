import type { Bytes } from './ports/blob-store.ts'

export const BLOCK_BYTES = 512 * 1024
/** Of idle ones. */
const KEPT_BYTES = 32 * 1024 * 1024

/**
 * Blocks: memory for bytes on their way, which threads share, and which is used again. Left to the garbage collector, the
 * buffers of a large body cost as much as half of its hashes: each 64 MiB of them make it look at the whole heap.
 */
const idle: SharedArrayBuffer[] = []
/** How many still read a block that is on its way. */
const readers = new WeakMap<ArrayBufferLike, number>()

/**
 * The same bytes in blocks, all but the last full. The chunks of the source are taken: their memory is gone afterwards. Each
 * block is to be released by whoever reads it last; one that nobody releases is left to the garbage collector.
 */
export async function* inBlocks(source: Bytes): AsyncGenerator<Uint8Array> {
  let block: Buffer | undefined
  let filled = 0
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      block ??= takeBlock()
      const piece = chunk.subarray(at, at + BLOCK_BYTES - filled)
      block.set(piece, filled)
      filled += piece.length
      at += piece.length
      if (filled < BLOCK_BYTES) continue
      yield block
      block = undefined
      filled = 0
    }
    freeChunk(chunk)
  }
  if (block) yield block.subarray(0, filled)
}

/** One more reads the block; it has to release it, too. Anything but a block is left alone, here and there. */
export function holdBlock(bytes: Uint8Array): void {
  const count = readers.get(bytes.buffer)
  if (count !== undefined) readers.set(bytes.buffer, count + 1)
}

/** To be called once by each reader, when it will not look at the bytes again. */
export function releaseBlock(bytes: Uint8Array): void {
  const count = readers.get(bytes.buffer)
  if (count === undefined) return
  if (count > 1) {
    readers.set(bytes.buffer, count - 1)
    return
  }
  readers.delete(bytes.buffer)
  const memory = bytes.buffer as SharedArrayBuffer
  if ((idle.length + 1) * BLOCK_BYTES <= KEPT_BYTES) idle.push(memory)
}

function takeBlock(): Buffer {
  const memory = idle.pop() ?? new SharedArrayBuffer(BLOCK_BYTES)
  readers.set(memory, 1)
  return Buffer.from(memory)
}

/** Gives the memory of a chunk back at once, where no one else can have a part of it: its owner calls this after its last look. */
export function freeChunk({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
