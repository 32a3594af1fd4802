import { type Digest, kindOf, md5Of, unpackDigest, writeHex } from './digest.ts'
import { CairnError } from './error.ts'

/**
 * A pack: many small objects in one stream, the same bytes on the wire and at rest.
 *
 *     "CAIRNPK1"                                                   8 bytes
 *     record*   tag 1 | kind | 0 0 | u32 length | md5              24 bytes, then `length` bytes of payload
 *               tag 2 | kind | 0 0 | u32 0      | md5              "absent": only in answers, for an object that is gone
 *     end       tag 3 | 0 0 0    | u32 count  | nonce              24 bytes: `count` records of tag 1; 16 random bytes,
 *                                                                  so that no two packs are the same blob
 *     index     kind | 0 0 0 | u32 length | u64 offset | md5       32 bytes a record of tag 1, in their order
 *     trailer   u32 count | "CAIRNEND" | u32 0                     16 bytes: the index is found from the end
 *
 * Numbers are little-endian. `offset` points at the payload. A payload is at most MAX_MEMBER_BYTES. There is no checksum
 * beside the md5: the digest proves the payload, and a damaged length cannot survive it.
 */
export const PACK_MAGIC = 'CAIRNPK1'
export const PACK_END_MAGIC = 'CAIRNEND'
export const RECORD_BYTES = 24
export const INDEX_ENTRY_BYTES = 32
export const TRAILER_BYTES = 16
/** Objects below this size travel and rest in packs. */
export const PACK_MEMBER_LIMIT = 1024 * 1024
/** A reader refuses a longer member: it holds one member in memory. */
export const MAX_MEMBER_BYTES = 4 * 1024 * 1024
/** A writer starts a new pack beyond this. */
export const PACK_TARGET_BYTES = 32 * 1024 * 1024
export const MAX_PACK_BYTES = 72 * 1024 * 1024
export const MAX_PACK_MEMBERS = 65_536

const TAG_OBJECT = 1
const TAG_ABSENT = 2
const TAG_END = 3

export interface PackMember {
  digest: Digest
  /** Where the payload starts, from the first byte of the pack. */
  offset: number
  length: number
}

export type PackRecord =
  { type: 'object'; digest: Digest; payload: Uint8Array; offset: number } | { type: 'absent'; digest: Digest }

/** Builds a pack piece by piece; the caller sends or stores the pieces in order. */
export class PackWriter {
  #members: PackMember[] = []
  #offset = PACK_MAGIC.length

  /** The first bytes of the pack. */
  start(): Uint8Array {
    return new TextEncoder().encode(PACK_MAGIC)
  }

  /** The header to send before the payload. */
  header(digest: Digest, length: number): Uint8Array {
    this.#members.push({ digest, offset: this.#offset + RECORD_BYTES, length })
    this.#offset += RECORD_BYTES + length
    return recordHeader(TAG_OBJECT, kindOf(digest), length, md5Of(digest))
  }

  absent(digest: Digest): Uint8Array {
    this.#offset += RECORD_BYTES
    return recordHeader(TAG_ABSENT, kindOf(digest), 0, md5Of(digest))
  }

  /** The end record, the index and the trailer. `nonce` is 16 random bytes. */
  end(nonce: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(RECORD_BYTES + this.#members.length * INDEX_ENTRY_BYTES + TRAILER_BYTES)
    const view = new DataView(bytes.buffer)
    bytes[0] = TAG_END
    view.setUint32(4, this.#members.length, true)
    bytes.set(nonce.subarray(0, 16), 8)
    let at = RECORD_BYTES
    for (const { digest, offset, length } of this.#members) {
      writeIndexEntry(bytes, at, { kind: kindOf(digest), length, offset })
      writeHex(bytes, at + 16, md5Of(digest))
      at += INDEX_ENTRY_BYTES
    }
    view.setUint32(at, this.#members.length, true)
    bytes.set(new TextEncoder().encode(PACK_END_MAGIC), at + 4)
    return bytes
  }

  get members(): readonly PackMember[] {
    return this.#members
  }

  /** Bytes written so far, without the end. */
  get length(): number {
    return this.#offset
  }
}

function recordHeader(tag: number, kind: number, length: number, md5: string): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES)
  bytes[0] = tag
  bytes[1] = kind
  new DataView(bytes.buffer).setUint32(4, length, true)
  writeHex(bytes, 8, md5)
  return bytes
}

/** How many bytes a pack of these payload lengths takes. */
export function packBytes(lengths: readonly number[]): number {
  return lengths.reduce(
    (sum, length) => sum + length + RECORD_BYTES + INDEX_ENTRY_BYTES,
    PACK_MAGIC.length + RECORD_BYTES + TRAILER_BYTES,
  )
}

/**
 * Reads a pack from chunks of any size and yields its records. A payload is a copy, valid for ever. Holds at most one
 * member plus one chunk. Checks the frame, not the digests: the caller hashes. Ends after the trailer.
 * @throws CairnError BAD_PACK on a wrong magic, an unknown tag, a member over MAX_MEMBER_BYTES, a count or an index that
 * does not agree, bytes after the trailer, or a stream that ends early.
 */
export async function* readPack(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<PackRecord> {
  let records: PackRecord[] = []
  const parser = new PackParser((record) => {
    records.push(record.type === 'object' ? { ...record, payload: record.payload.slice() } : record)
  })
  for await (const chunk of chunks) {
    records = []
    parser.push(chunk)
    yield* records
  }
  parser.end()
}

/** What the next bytes of a pack are. */
type Part = 'magic' | 'record' | 'payload' | 'index' | 'nothing'

/**
 * Takes a pack in chunks of any size and calls back for each record as soon as it is whole, before `push` returns. A payload
 * may be a view of the chunk: whoever keeps it beyond the call copies it. Throws as `readPack`.
 */
export class PackParser {
  #onRecord: (record: PackRecord) => void
  #part: Part = 'magic'
  #needed = PACK_MAGIC.length
  /** A part that is cut by the end of a chunk. */
  #torn: Uint8Array | undefined
  #filled = 0
  /** From the first byte of the pack to the part that is being read. */
  #position = 0
  #digest: Digest | undefined
  #index = new Uint8Array(64 * INDEX_ENTRY_BYTES)
  #count = 0

  constructor(onRecord: (record: PackRecord) => void) {
    this.#onRecord = onRecord
  }

  push(chunk: Uint8Array): void {
    let at = this.#torn ? this.#mend(this.#torn, chunk) : 0
    while (this.#torn === undefined && chunk.length - at >= this.#needed) {
      const from = at
      at += this.#needed
      this.#take(chunk, from)
    }
    if (this.#torn !== undefined || at === chunk.length) return
    this.#torn = new Uint8Array(this.#needed)
    this.#torn.set(chunk.subarray(at))
    this.#filled = chunk.length - at
  }

  end(): void {
    if (this.#part !== 'nothing') throw new CairnError('BAD_PACK', 'the pack is cut short')
  }

  /** Fills up a torn part and resolves with where the chunk goes on. */
  #mend(torn: Uint8Array, chunk: Uint8Array): number {
    const piece = chunk.subarray(0, torn.length - this.#filled)
    torn.set(piece, this.#filled)
    this.#filled += piece.length
    if (this.#filled === torn.length) {
      this.#torn = undefined
      this.#take(torn, 0)
    }
    return piece.length
  }

  #take(bytes: Uint8Array, at: number): void {
    const length = this.#needed
    this.#position += length
    if (this.#part === 'record') return this.#takeRecord(bytes, at)
    if (this.#part === 'payload') return this.#takePayload(bytes.subarray(at, at + length))
    if (this.#part === 'index') return this.#takeIndex(bytes.subarray(at, at + length))
    if (this.#part === 'nothing') throw new CairnError('BAD_PACK', 'bytes after the end of the pack')
    if (new TextDecoder().decode(bytes.subarray(at, at + length)) !== PACK_MAGIC) throw new CairnError('BAD_PACK', 'not a pack')
    this.#expect('record', RECORD_BYTES)
  }

  #expect(part: Part, bytes: number): void {
    this.#part = part
    this.#needed = bytes
  }

  #takeRecord(bytes: Uint8Array, at: number): void {
    const tag = bytes[at]
    const length = readUint32(bytes, at + 4)
    if (tag === TAG_END) {
      if (length !== this.#count)
        throw new CairnError('BAD_PACK', `the pack announces ${length} members and holds ${this.#count}`)
      return this.#expect('index', length * INDEX_ENTRY_BYTES + TRAILER_BYTES)
    }
    if (tag !== TAG_OBJECT && tag !== TAG_ABSENT) throw new CairnError('BAD_PACK', `unknown record tag ${tag}`)
    const kind = bytes[at + 1] ?? 255
    if (kind > 3) throw new CairnError('BAD_PACK', `unknown kind byte ${kind}`)
    const digest = unpackDigest(bytes, at + 8, kind)
    if (tag === TAG_ABSENT) return this.#onRecord({ type: 'absent', digest })
    if (length > MAX_MEMBER_BYTES)
      throw new CairnError('BAD_PACK', `${digest}: a member of ${length} bytes is too large for a pack`)
    if (this.#count >= MAX_PACK_MEMBERS) throw new CairnError('BAD_PACK', `a pack has at most ${MAX_PACK_MEMBERS} members`)
    this.#note(kind, length, bytes.subarray(at + 8, at + RECORD_BYTES))
    this.#digest = digest
    this.#expect('payload', length)
  }

  /** The line of the index that this record must have. */
  #note(kind: number, length: number, md5: Uint8Array): void {
    const at = this.#count++ * INDEX_ENTRY_BYTES
    if (at === this.#index.length) {
      const larger = new Uint8Array(at * 2)
      larger.set(this.#index)
      this.#index = larger
    }
    writeIndexEntry(this.#index, at, { kind, length, offset: this.#position })
    this.#index.set(md5, at + 16)
  }

  #takePayload(payload: Uint8Array): void {
    this.#expect('record', RECORD_BYTES)
    const offset = this.#position - payload.length
    if (this.#digest !== undefined) this.#onRecord({ type: 'object', digest: this.#digest, payload, offset })
  }

  #takeIndex(tail: Uint8Array): void {
    const counted = parsePackTrailer(tail.subarray(tail.length - TRAILER_BYTES))
    if (counted !== this.#count) throw new CairnError('BAD_PACK', 'the index of the pack has the wrong length')
    for (let at = 0; at < this.#count * INDEX_ENTRY_BYTES; at++) {
      if (tail[at] !== this.#index[at]) throw new CairnError('BAD_PACK', 'the index of the pack does not match its records')
    }
    this.#expect('nothing', 1)
  }
}

const readUint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0

function writeIndexEntry(bytes: Uint8Array, at: number, entry: { kind: number; length: number; offset: number }): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  bytes[at] = entry.kind
  view.setUint32(at + 4, entry.length, true)
  view.setUint32(at + 8, entry.offset % 2 ** 32, true)
  view.setUint32(at + 12, Math.floor(entry.offset / 2 ** 32), true)
}

/**
 * Parses the tail of a pack at rest: its index and trailer, nothing before them. Reading the last TRAILER_BYTES tells the
 * count, so two ranged reads find every member.
 * @throws CairnError BAD_PACK
 */
export function parsePackIndex(tail: Uint8Array): PackMember[] {
  const count = parsePackTrailer(tail.subarray(Math.max(0, tail.length - TRAILER_BYTES)))
  if (tail.length !== count * INDEX_ENTRY_BYTES + TRAILER_BYTES)
    throw new CairnError('BAD_PACK', 'the index of the pack has the wrong length')
  const view = new DataView(tail.buffer, tail.byteOffset, tail.length)
  const members: PackMember[] = []
  for (let at = 0; at < count * INDEX_ENTRY_BYTES; at += INDEX_ENTRY_BYTES) {
    const kind = tail[at] ?? 255
    if (kind > 3) throw new CairnError('BAD_PACK', `unknown kind byte ${kind}`)
    members.push({
      digest: unpackDigest(tail, at + 16, kind),
      length: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 8, true)),
    })
  }
  return members
}

/** The number of members, from the last TRAILER_BYTES of a pack. @throws CairnError BAD_PACK */
export function parsePackTrailer(trailer: Uint8Array): number {
  if (trailer.length !== TRAILER_BYTES || new TextDecoder().decode(trailer.subarray(4, 12)) !== PACK_END_MAGIC) {
    throw new CairnError('BAD_PACK', 'the pack has no end')
  }
  const count = new DataView(trailer.buffer, trailer.byteOffset).getUint32(0, true)
  if (count > MAX_PACK_MEMBERS) throw new CairnError('BAD_PACK', `a pack has at most ${MAX_PACK_MEMBERS} members`)
  return count
}
