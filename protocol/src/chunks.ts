import { CairnError } from './error.ts'

/**
 * Content-defined chunks: borders follow from the bytes around them, so that an insertion moves only its neighbours. Both
 * sides cut alike, or they find nothing in common; the parameters are part of the protocol.
 *
 * A gear hash rolls over the bytes (`h = (h << 1) + GEAR[byte]`, 32 bits: it remembers 32 bytes) and a chunk ends behind the
 * byte that leaves the upper bits of `h` zero: 18 bits below CHUNK_NORMAL_BYTES, 14 bits from there on, so that most chunks
 * come out near 64 KiB. The first MIN_CHUNK_BYTES of a chunk are skipped, and MAX_CHUNK_BYTES ends it in any case.
 */
export const MIN_CHUNK_BYTES = 16 * 1024
export const CHUNK_NORMAL_BYTES = 64 * 1024
export const MAX_CHUNK_BYTES = 256 * 1024
const SHIFT_BELOW_NORMAL = 32 - 18
const SHIFT_ABOVE_NORMAL = 32 - 14

/** 256 words out of mulberry32, seeded with the four letters "CARN". */
export const GEAR = gearTable(0x4341524e)

function gearTable(seed: number): Int32Array {
  const table = new Int32Array(256)
  let state = seed
  for (let index = 0; index < table.length; index++) {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), 1 | state)
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
    table[index] = word ^ (word >>> 14)
  }
  return table
}

/** Finds the borders in bytes that come in pieces of any size. */
export interface ChunkCutter {
  /**
   * Goes on at `from`: the place behind the last byte of the chunk, or -1 when `bytes` ends before the chunk does. The
   * last chunk of all ends where the bytes end.
   */
  next(bytes: Uint8Array, from: number): number
}

export function createChunkCutter(): ChunkCutter {
  let length = 0
  let hash = 0

  const close = (border: number): number => {
    length = 0
    hash = 0
    return border
  }
  // Two bytes a turn: half the checks of the loop, and a half more speed.
  const roll = (bytes: Uint8Array, from: number, to: number, shift: number): number => {
    const gear = GEAR
    let h = hash
    let at = from
    for (; at + 1 < to; at += 2) {
      const first = ((h << 1) + (gear[bytes[at] as number] as number)) | 0
      h = ((first << 1) + (gear[bytes[at + 1] as number] as number)) | 0
      if (first >>> shift === 0) return close(at + 1)
      if (h >>> shift === 0) return close(at + 2)
    }
    if (at < to) {
      h = ((h << 1) + (gear[bytes[at] as number] as number)) | 0
      if (h >>> shift === 0) return close(to)
    }
    hash = h
    return -1
  }

  return {
    next(bytes, from) {
      let at = from
      for (const [bound, shift] of STRETCHES) {
        if (length >= bound) continue
        const end = Math.min(bytes.length, at + bound - length)
        const border = shift === undefined ? -1 : roll(bytes, at, end, shift)
        if (border >= 0) return border
        length += end - at
        at = end
      }
      return length < MAX_CHUNK_BYTES ? -1 : close(at)
    },
  }
}

const STRETCHES: ReadonlyArray<readonly [bound: number, shift: number | undefined]> = [
  [MIN_CHUNK_BYTES, undefined],
  [CHUNK_NORMAL_BYTES, SHIFT_BELOW_NORMAL],
  [MAX_CHUNK_BYTES, SHIFT_ABOVE_NORMAL],
]

/** A chunk by the md5 of its bytes; where it is follows from those before it. */
export interface Chunk {
  /** 32 hex digits. */
  md5: string
  length: number
}

/** The part of a hash that this module needs; `digest` gives hex. */
export interface ChunkHash {
  update(bytes: Uint8Array): void
  digest(): string
}

/** The chunks of bytes that come in pieces; `newHash` makes a md5. Holds nothing but its own counts. */
export function createChunkLister(
  newHash: () => ChunkHash,
  onChunk: (chunk: Chunk) => void,
): { add(bytes: Uint8Array): void; end(): void } {
  const cutter = createChunkCutter()
  let hash = newHash()
  let length = 0
  const close = () => {
    onChunk({ md5: hash.digest(), length })
    hash = newHash()
    length = 0
  }
  return {
    add(bytes) {
      for (let from = 0; from < bytes.length;) {
        const border = cutter.next(bytes, from)
        const end = border < 0 ? bytes.length : border
        hash.update(bytes.subarray(from, end))
        length += end - from
        from = end
        if (border >= 0) close()
      }
    },
    end() {
      if (length > 0) close()
    },
  }
}

export const CHUNK_LIST_MAGIC = 'CAIRNCK1'
const ENTRY_BYTES = 20
/** Of some 18 GiB: a list is held in memory. */
export const MAX_CHUNKS = 262_144

/** `CAIRNCK1`, then 16 bytes of md5 and a u32 of length, little-endian, for each chunk in order. */
export function packChunks(chunks: readonly Chunk[]): Uint8Array {
  const bytes = new Uint8Array(CHUNK_LIST_MAGIC.length + chunks.length * ENTRY_BYTES)
  const view = new DataView(bytes.buffer)
  new TextEncoder().encodeInto(CHUNK_LIST_MAGIC, bytes)
  let at = CHUNK_LIST_MAGIC.length
  for (const { md5, length } of chunks) {
    for (let index = 0; index < 4; index++)
      view.setUint32(at + index * 4, Number.parseInt(md5.slice(index * 8, index * 8 + 8), 16))
    view.setUint32(at + 16, length, true)
    at += ENTRY_BYTES
  }
  return bytes
}

/** @throws CairnError BAD_DELTA */
export function unpackChunks(bytes: Uint8Array): Chunk[] {
  const magic = new TextDecoder('latin1').decode(bytes.subarray(0, CHUNK_LIST_MAGIC.length))
  const count = (bytes.length - CHUNK_LIST_MAGIC.length) / ENTRY_BYTES
  if (magic !== CHUNK_LIST_MAGIC || !Number.isInteger(count) || count > MAX_CHUNKS) {
    throw new CairnError('BAD_DELTA', `${bytes.length} bytes are no list of chunks`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: count }, (_, index) => {
    const at = CHUNK_LIST_MAGIC.length + index * ENTRY_BYTES
    const length = view.getUint32(at + 16, true)
    if (length === 0 || length > MAX_CHUNK_BYTES) throw new CairnError('BAD_DELTA', `a chunk of ${length} bytes`)
    let md5 = ''
    for (let word = 0; word < 4; word++)
      md5 += view
        .getUint32(at + word * 4)
        .toString(16)
        .padStart(8, '0')
    return { md5, length }
  })
}
