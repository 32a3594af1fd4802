import { type Digest, digestFrom, kindOf, md5Of, readHex, writeHex } from './digest.ts'
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
      bytes[at] = kindOf(digest)
      view.setUint32(at + 4, length, true)
      view.setBigUint64(at + 8, BigInt(offset), true)
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
  const source = new ByteSource(chunks)
  if (new TextDecoder().decode(await source.read(PACK_MAGIC.length)) !== PACK_MAGIC)
    throw new CairnError('BAD_PACK', 'not a pack')
  const members: PackMember[] = []
  for (;;) {
    const header = await source.read(RECORD_BYTES)
    const tag = header[0]
    if (tag === TAG_END) {
      await readEnd(source, header, members)
      return
    }
    if (tag !== TAG_OBJECT && tag !== TAG_ABSENT) throw new CairnError('BAD_PACK', `unknown record tag ${tag}`)
    const digest = recordDigest(header)
    if (tag === TAG_ABSENT) {
      yield { type: 'absent', digest }
      continue
    }
    const length = new DataView(header.buffer, header.byteOffset).getUint32(4, true)
    if (length > MAX_MEMBER_BYTES)
      throw new CairnError('BAD_PACK', `${digest}: a member of ${length} bytes is too large for a pack`)
    if (members.length >= MAX_PACK_MEMBERS) throw new CairnError('BAD_PACK', `a pack has at most ${MAX_PACK_MEMBERS} members`)
    const offset = source.position
    members.push({ digest, offset, length })
    yield { type: 'object', digest, payload: await source.read(length), offset }
  }
}

function recordDigest(header: Uint8Array): Digest {
  const kind = header[1] ?? 255
  if (kind > 3) throw new CairnError('BAD_PACK', `unknown kind byte ${kind}`)
  return digestFrom(readHex(header, 8), kind)
}

async function readEnd(source: ByteSource, header: Uint8Array, members: readonly PackMember[]): Promise<void> {
  const count = new DataView(header.buffer, header.byteOffset).getUint32(4, true)
  if (count !== members.length)
    throw new CairnError('BAD_PACK', `the pack announces ${count} members and holds ${members.length}`)
  const index = await source.read(count * INDEX_ENTRY_BYTES + TRAILER_BYTES)
  const listed = parsePackIndex(index)
  const agrees = listed.every((entry, at) => {
    const member = members[at]
    return member?.digest === entry.digest && member.offset === entry.offset && member.length === entry.length
  })
  if (!agrees) throw new CairnError('BAD_PACK', 'the index of the pack does not match its records')
  if (!(await source.atEnd())) throw new CairnError('BAD_PACK', 'bytes after the end of the pack')
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
      digest: digestFrom(readHex(tail, at + 16), kind),
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

/** Reads exact lengths out of chunks. */
class ByteSource {
  position = 0
  #iterator: AsyncIterator<Uint8Array>
  #chunk: Uint8Array = new Uint8Array()
  #at = 0

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#iterator = chunks[Symbol.asyncIterator]()
  }

  /** A copy of the next `length` bytes. */
  async read(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    let filled = 0
    while (filled < length) {
      if (this.#at === this.#chunk.length && !(await this.#next())) throw new CairnError('BAD_PACK', 'the pack is cut short')
      const part = this.#chunk.subarray(this.#at, this.#at + length - filled)
      bytes.set(part, filled)
      filled += part.length
      this.#at += part.length
    }
    this.position += length
    return bytes
  }

  async atEnd(): Promise<boolean> {
    return this.#at === this.#chunk.length && !(await this.#next())
  }

  async #next(): Promise<boolean> {
    for (;;) {
      const { value, done } = await this.#iterator.next()
      if (done) return false
      if (value.length === 0) continue
      this.#chunk = value
      this.#at = 0
      return true
    }
  }
}
