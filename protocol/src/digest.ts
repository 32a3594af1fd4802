import { CairnError } from './error.ts'

/**
 * The name of an object inside a project: `<md5>` for a file, `<md5>.dir` for a tree. Objects of DVC 0.x–2.x are named by
 * the md5 of their text with LF line ends ("md5-dos2unix") and live in a namespace of their own: `legacy-<md5>` and
 * `legacy-<md5>.dir`. md5 is 32 lower-case hex digits.
 */
export type Digest = string & { readonly __digest: unique symbol }

const PATTERN = /^(legacy-)?([0-9a-f]{32})(\.dir)?$/

/** The last byte of a packed digest. */
export const KIND_TREE = 1
export const KIND_LEGACY = 2
/** A packed digest: 16 bytes of md5, then one kind byte (bit 0: tree, bit 1: legacy). */
export const PACKED_DIGEST_BYTES = 17

export function isDigest(text: string): text is Digest {
  return PATTERN.test(text)
}

/** @throws CairnError BAD_DIGEST */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) throw new CairnError('BAD_DIGEST', `'${text.slice(0, 80)}' is not a digest`)
  return text
}

export function makeDigest(md5: string, options: { tree?: boolean; legacy?: boolean } = {}): Digest {
  return parseDigest(`${options.legacy ? 'legacy-' : ''}${md5}${options.tree ? '.dir' : ''}`)
}

export const isTree = (digest: Digest): boolean => digest.endsWith('.dir')
export const isLegacy = (digest: Digest): boolean => digest.startsWith('legacy-')
export const md5Of = (digest: Digest): string => (isLegacy(digest) ? digest.slice(7, 39) : digest.slice(0, 32))
export const kindOf = (digest: Digest): number => (isTree(digest) ? KIND_TREE : 0) | (isLegacy(digest) ? KIND_LEGACY : 0)

/** @throws CairnError BAD_DIGEST on a kind byte outside 0–3 */
export function digestFrom(md5: string, kind: number): Digest {
  if (kind < 0 || kind > 3) throw new CairnError('BAD_DIGEST', `kind byte ${kind} is unknown`)
  return makeDigest(md5, { tree: (kind & KIND_TREE) !== 0, legacy: (kind & KIND_LEGACY) !== 0 })
}

/**
 * The path of an object below a cache or remote: `files/md5/ab/cdef…[.dir]`, or `ab/cdef…[.dir]` for a legacy one.
 * Both tools and both sides use this layout.
 */
export function objectPath(digest: Digest): string {
  const name = isLegacy(digest) ? digest.slice(7) : digest
  const path = `${name.slice(0, 2)}/${name.slice(2)}`
  return isLegacy(digest) ? path : `files/md5/${path}`
}

/** The inverse of `objectPath`; undefined for any other path. */
export function digestOfPath(path: string): Digest | undefined {
  const match = /^(files\/md5\/)?([0-9a-f]{2})\/([0-9a-f]{30})(\.dir)?$/.exec(path)
  return match
    ? makeDigest(`${match[2]}${match[3]}`, { tree: match[4] !== undefined, legacy: match[1] === undefined })
    : undefined
}

/** Packs digests for the wire: `PACKED_DIGEST_BYTES` each, in the given order. */
export function packDigests(digests: readonly Digest[]): Uint8Array {
  const packed = new Uint8Array(digests.length * PACKED_DIGEST_BYTES)
  let offset = 0
  for (const digest of digests) {
    writeHex(packed, offset, md5Of(digest))
    packed[offset + 16] = kindOf(digest)
    offset += PACKED_DIGEST_BYTES
  }
  return packed
}

/** @throws CairnError BAD_DIGEST when the length is not a multiple of 17 or a kind byte is unknown */
export function unpackDigests(packed: Uint8Array): Digest[] {
  if (packed.length % PACKED_DIGEST_BYTES !== 0) {
    throw new CairnError('BAD_DIGEST', `a digest list of ${packed.length} bytes is not a multiple of ${PACKED_DIGEST_BYTES}`)
  }
  const digests: Digest[] = []
  for (let offset = 0; offset < packed.length; offset += PACKED_DIGEST_BYTES) {
    digests.push(unpackDigest(packed, offset, packed[offset + 16] ?? 255))
  }
  return digests
}

/** The digest whose md5 is the 16 bytes at `offset`. @throws CairnError BAD_DIGEST on a kind byte outside 0–3 */
export function unpackDigest(bytes: Uint8Array, offset: number, kind: number): Digest {
  const md5 = readHex(bytes, offset)
  // Sixteen bytes are 32 digits: a file's digest needs no second look, and there may be a million.
  return kind === 0 ? (md5 as Digest) : digestFrom(md5, kind)
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** 16 bytes at `offset` as 32 hex digits. */
export function readHex(bytes: Uint8Array, offset: number): string {
  let text = ''
  for (let index = offset; index < offset + 16; index++) text += HEX[bytes[index] ?? 0]
  return text
}

const VALUES = Uint8Array.from({ length: 128 }, (_, code) => Math.max(0, '0123456789abcdef'.indexOf(String.fromCharCode(code))))

/** Writes 32 hex digits as 16 bytes. */
export function writeHex(bytes: Uint8Array, offset: number, hex: string): void {
  for (let index = 0; index < 16; index++) {
    const high = VALUES[hex.charCodeAt(index * 2)] ?? 0
    bytes[offset + index] = (high << 4) | (VALUES[hex.charCodeAt(index * 2 + 1)] ?? 0)
  }
}
