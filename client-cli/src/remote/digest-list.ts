import { type Digest, kindOf, md5Of, PACKED_DIGEST_BYTES, unpackDigest, writeHex } from '@cairn/protocol/digest'

/** Digests in the order they were added, each once, in 29 bytes or so: a million as strings in a Set are 150 MB. */
export interface DigestList extends Iterable<Digest> {
  readonly size: number
  has(digest: Digest): boolean
  /** False when it was there. */
  add(digest: Digest): boolean
}

const FEWEST = 1024

export function createDigestList(digests: Iterable<Digest> = []): DigestList {
  let packed = Buffer.alloc(FEWEST * PACKED_DIGEST_BYTES)
  /** By md5: the place in the list and 1, or 0. At most half of it is taken. */
  let slots = new Uint32Array(FEWEST * 2)
  let size = 0
  const probe = Buffer.alloc(PACKED_DIGEST_BYTES)

  /** The slot of the bytes at `at`, or the free slot where they belong. */
  const slotOf = (bytes: Buffer, at: number): number => {
    let slot = mix(bytes, at) & (slots.length - 1)
    for (let held = slots[slot] ?? 0; held !== 0; held = slots[slot] ?? 0) {
      const known = (held - 1) * PACKED_DIGEST_BYTES
      if (bytes.compare(packed, known, known + PACKED_DIGEST_BYTES, at, at + PACKED_DIGEST_BYTES) === 0) return slot
      slot = (slot + 1) & (slots.length - 1)
    }
    return slot
  }
  const encode = (digest: Digest): Buffer => {
    writeHex(probe, 0, md5Of(digest))
    probe[16] = kindOf(digest)
    return probe
  }
  const grow = () => {
    packed = Buffer.concat([packed], packed.length * 2)
    slots = new Uint32Array(slots.length * 2)
    for (let place = 0; place < size; place++) slots[slotOf(packed, place * PACKED_DIGEST_BYTES)] = place + 1
  }

  const list: DigestList = {
    get size() {
      return size
    },
    has: (digest) => slots[slotOf(encode(digest), 0)] !== 0,
    add(digest) {
      if ((size + 1) * PACKED_DIGEST_BYTES > packed.length) grow()
      const slot = slotOf(encode(digest), 0)
      if (slots[slot] !== 0) return false
      packed.set(probe, size * PACKED_DIGEST_BYTES)
      slots[slot] = ++size
      return true
    },
    *[Symbol.iterator]() {
      for (let place = 0; place < size; place++) {
        const at = place * PACKED_DIGEST_BYTES
        yield unpackDigest(packed, at, packed[at + 16] ?? 255)
      }
    },
  }
  for (const digest of digests) list.add(digest)
  return list
}

/** All of an md5 in 32 bits, the low ones too: digests that begin or end alike must not meet. */
function mix(bytes: Buffer, at: number): number {
  const words = bytes.readUInt32LE(at) ^ bytes.readUInt32LE(at + 4) ^ bytes.readUInt32LE(at + 8) ^ bytes.readUInt32LE(at + 12)
  const spread = Math.imul(words, 0x9e3779b1)
  return spread ^ (spread >>> 15)
}
