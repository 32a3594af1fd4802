import { type Digest, digestFrom, kindOf, md5Of, readHex, writeHex } from './digest.ts'
import { CairnError } from './error.ts'

/**
 * A delta: an object as pieces of others (its bases) and new bytes (literals). The same frame on the wire, where a base is
 * named by its digest, and at rest, where it is named by its blob's key.
 *
 *     "CAIRNDL1"                                                   8 bytes
 *     u32 bytes of this header | u32 bases | u32 segments | u32 0
 *     u64 size of the object | kind | 7 × 0 | md5                  its digest
 *     base*     u16 length | name                                  ASCII
 *     segment*  u32 base + 1, or 0 for a literal | u64 offset | u64 length
 *     literals, in the order of their segments, to the end
 *
 * Little-endian. A literal's offset counts from the first literal byte; literals follow one another without a gap. Segments
 * follow one another in the object. There is no checksum: the object's digest proves all of it.
 */
export const DELTA_MAGIC = 'CAIRNDL1'
/** Beyond this an object is cheaper whole: each segment may be a read of its own. */
export const MAX_SEGMENTS = 4096
export const MAX_BASES = 256
const MAX_NAME_BYTES = 200
const FIXED_BYTES = 56
const SEGMENT_BYTES = 20
export const MAX_DELTA_HEADER_BYTES = FIXED_BYTES + MAX_BASES * (2 + MAX_NAME_BYTES) + MAX_SEGMENTS * SEGMENT_BYTES
/** Smaller objects are not taken as deltas: packs carry them. */
export const MIN_DELTA_OBJECT_BYTES = 4 * 1024 * 1024 + 1

/** A literal's `base` is LITERAL and its `offset` counts from the first literal byte. */
export interface Segment {
  base: number
  offset: number
  length: number
}

export const LITERAL = -1

export interface Recipe {
  digest: Digest
  /** Of the object, in bytes: the sum of the segments. */
  size: number
  /** What `Segment.base` counts through. */
  bases: readonly string[]
  segments: readonly Segment[]
}

export const literalBytes = (recipe: Recipe): number =>
  recipe.segments.reduce((sum, segment) => sum + (segment.base === LITERAL ? segment.length : 0), 0)

/** The header; the literals go behind it. */
export function packRecipe(recipe: Recipe): Uint8Array {
  const names = recipe.bases.map((base) => new TextEncoder().encode(base))
  const length = FIXED_BYTES + names.reduce((sum, name) => sum + 2 + name.length, 0) + recipe.segments.length * SEGMENT_BYTES
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  new TextEncoder().encodeInto(DELTA_MAGIC, bytes)
  view.setUint32(8, length, true)
  view.setUint32(12, names.length, true)
  view.setUint32(16, recipe.segments.length, true)
  view.setBigUint64(24, BigInt(recipe.size), true)
  bytes[32] = kindOf(recipe.digest)
  writeHex(bytes, 40, md5Of(recipe.digest))
  let at = FIXED_BYTES
  for (const name of names) {
    view.setUint16(at, name.length, true)
    bytes.set(name, at + 2)
    at += 2 + name.length
  }
  for (const { base, offset, length: count } of recipe.segments) {
    view.setUint32(at, base + 1, true)
    view.setBigUint64(at + 4, BigInt(offset), true)
    view.setBigUint64(at + 12, BigInt(count), true)
    at += SEGMENT_BYTES
  }
  return bytes
}

/**
 * The length of the header that begins with these bytes (20 are enough). A reader collects so many before it parses.
 * @throws CairnError BAD_DELTA
 */
export function recipeLength(start: Uint8Array): number {
  if (start.length < 20 || text(start.subarray(0, DELTA_MAGIC.length)) !== DELTA_MAGIC) throw bad('this is no delta')
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength)
  const length = view.getUint32(8, true)
  const bases = view.getUint32(12, true)
  const segments = view.getUint32(16, true)
  if (bases > MAX_BASES) throw bad(`${bases} bases; ${MAX_BASES} is the most`)
  if (segments > MAX_SEGMENTS) throw bad(`${segments} segments; ${MAX_SEGMENTS} is the most`)
  const least = FIXED_BYTES + segments * SEGMENT_BYTES + bases * 2
  if (length < least || length > least + bases * MAX_NAME_BYTES) throw bad(`a header of ${length} bytes cannot hold its parts`)
  return length
}

/** Parses a header of exactly `recipeLength` bytes. @throws CairnError BAD_DELTA */
export function parseRecipe(bytes: Uint8Array): Recipe {
  if (recipeLength(bytes) !== bytes.length) throw bad('the header is cut short')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const kind = bytes[32] ?? 255
  if (kind > 3) throw bad(`the kind byte ${kind} is unknown`)
  const baseCount = view.getUint32(12, true)
  const segmentCount = view.getUint32(16, true)
  const segmentsAt = bytes.length - segmentCount * SEGMENT_BYTES
  const bases: string[] = []
  let at = FIXED_BYTES
  for (let index = 0; index < baseCount; index++) {
    const length = at + 2 <= segmentsAt ? view.getUint16(at, true) : MAX_NAME_BYTES + 1
    if (length > MAX_NAME_BYTES || at + 2 + length > segmentsAt) throw bad('a name of a base does not fit the header')
    bases.push(text(bytes.subarray(at + 2, at + 2 + length)))
    at += 2 + length
  }
  if (at !== segmentsAt) throw bad('the header has bytes between its bases and its segments')
  const segments = Array.from({ length: segmentCount }, (_, index) => {
    const place = segmentsAt + index * SEGMENT_BYTES
    return { base: view.getUint32(place, true) - 1, offset: number(view, place + 4), length: number(view, place + 12) }
  })
  const recipe = { digest: digestFrom(readHex(bytes, 40), kind), size: number(view, 24), bases, segments }
  checkSegments(recipe)
  return recipe
}

function checkSegments({ size, bases, segments }: Recipe): void {
  let end = 0
  let literals = 0
  for (const { base, offset, length } of segments) {
    if (length === 0) throw bad('an empty segment')
    if (base !== LITERAL && base >= bases.length) throw bad(`a segment of base ${base}, where there are ${bases.length}`)
    if (base === LITERAL && offset !== literals) throw bad('literals that do not follow one another')
    if (base === LITERAL) literals += length
    end += length
    if (end > size || offset + length > Number.MAX_SAFE_INTEGER) throw bad('the segments are longer than the object')
  }
  if (end !== size) throw bad(`the segments make ${end} of ${size} bytes`)
}

function number(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true)
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw bad('a number beyond 2^53')
  return Number(value)
}

const text = (bytes: Uint8Array): string => new TextDecoder('latin1').decode(bytes)

const bad = (what: string): CairnError => new CairnError('BAD_DELTA', what)

/** Adds a segment and joins it to the last one where it goes on there. */
export function addSegment(segments: Segment[], segment: Segment): void {
  const last = segments.at(-1)
  if (last && last.base === segment.base && last.offset + last.length === segment.offset) last.length += segment.length
  else if (segment.length > 0) segments.push({ ...segment })
}

/** The segments of a part of the object, in order; those at its ends are cut. */
export function sliceSegments(segments: readonly Segment[], start: number, end: number): Segment[] {
  const slice: Segment[] = []
  let at = 0
  for (const { base, offset, length } of segments) {
    const from = Math.max(start, at)
    const to = Math.min(end, at + length)
    if (from < to) addSegment(slice, { base, offset: offset + from - at, length: to - from })
    at += length
    if (at >= end) break
  }
  return slice
}
