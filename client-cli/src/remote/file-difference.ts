import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { type Chunk, createChunkLister } from '@cairn/protocol/chunks'
import { addSegment, LITERAL, type Segment } from '@cairn/protocol/delta'
import { createMd5 } from '../cache/md5.ts'

/** A file as pieces of a base, which `base: 0` stands for, and its own bytes; literals are where they are in the file. */
export interface FileDifference {
  segments: Segment[]
  literalBytes: number
}

const BLOCK_BYTES = 1024 * 1024
const FINE_BYTES = 4096
/** A copy between two literals costs the reader more than its bytes, when it is shorter than this. */
const SHORTEST_COPY = 32 * 1024
const MOST_SEGMENTS = 1024
/** So much is sent rather than looked at more closely. */
const SMALL_BYTES = 1024 * 1024
/** Lists of chunks are held in memory: some 50 MB for so much. */
const MOST_CHUNKED_BYTES = 16 * 1024 ** 3
/** Blocks between two breaths. */
const BREATH = 16

export interface CompareOptions {
  signal: AbortSignal
  /** Asked before bytes are cut into chunks on both sides, which is four times as slow as comparing them. */
  mayChunk: () => Promise<boolean>
}

/**
 * How a file differs from another. What the two have in common at their starts, their ends and in the same places is found by
 * comparing; only what moved needs chunks. @throws system errors
 */
export async function compareFiles(basePath: string, path: string, options: CompareOptions): Promise<FileDifference> {
  const base = openSync(basePath, 'r')
  try {
    const file = openSync(path, 'r')
    try {
      return await compare({ base, file, breathe: createBreath(options.signal) }, options)
    } finally {
      closeSync(file)
    }
  } finally {
    closeSync(base)
  }
}

/** A file as pieces of one that is known by its chunks. */
export async function compareWithChunks(chunks: readonly Chunk[], path: string, signal: AbortSignal): Promise<FileDifference> {
  const file = openSync(path, 'r')
  try {
    const places = placesOf(chunks, 0)
    return finish(await match(places, { fd: file, start: 0, end: fstatSync(file).size }, createBreath(signal)))
  } finally {
    closeSync(file)
  }
}

/** The chunks of a file on this disk. */
export async function chunksOfFile(path: string, signal: AbortSignal): Promise<Chunk[]> {
  const fd = openSync(path, 'r')
  try {
    return await listChunks({ fd, start: 0, end: fstatSync(fd).size }, createBreath(signal))
  } finally {
    closeSync(fd)
  }
}

/** Where each chunk is, when the first of them starts at `start`. */
export function placesOf(chunks: readonly Chunk[], start: number): Map<string, number> {
  const places = new Map<string, number>()
  let offset = start
  for (const { md5, length } of chunks) {
    if (!places.has(md5)) places.set(md5, offset)
    offset += length
  }
  return places
}

/** Copies of the chunks that have a place, and literals, which are where they are in the file; the first chunk starts at `start`. */
export function matchChunks(chunks: readonly Chunk[], places: ReadonlyMap<string, number>, start: number): Segment[] {
  const segments: Segment[] = []
  let at = start
  for (const { md5, length } of chunks) {
    const place = places.get(md5)
    addSegment(segments, place === undefined ? { base: LITERAL, offset: at, length } : { base: 0, offset: place, length })
    at += length
  }
  return segments
}

interface Pair {
  base: number
  file: number
  breathe: () => Promise<void>
}

interface Stretch {
  fd: number
  start: number
  end: number
}

async function compare(pair: Pair, { mayChunk }: CompareOptions): Promise<FileDifference> {
  const baseSize = fstatSync(pair.base).size
  const size = fstatSync(pair.file).size
  const prefix = await commonPrefix(pair, Math.min(baseSize, size))
  const suffix = await commonSuffix(pair, { baseSize, size, most: Math.min(baseSize, size) - prefix })
  const middle = { start: prefix, end: size - suffix }
  const around = (segments: readonly Segment[]): FileDifference => {
    const all: Segment[] = []
    addSegment(all, { base: 0, offset: 0, length: prefix })
    for (const segment of segments) addSegment(all, segment)
    addSegment(all, { base: 0, offset: baseSize - suffix, length: suffix })
    return finish(all)
  }
  const literal = around([{ base: LITERAL, offset: middle.start, length: middle.end - middle.start }])
  if (literal.literalBytes <= SMALL_BYTES) return literal
  const inPlace = around(await commonBlocks(pair, { ...middle, baseSize }))
  const baseMiddle = { fd: pair.base, start: prefix, end: baseSize - suffix }
  const tooLong = Math.max(middle.end - middle.start, baseMiddle.end - baseMiddle.start) > MOST_CHUNKED_BYTES
  if (tooLong || inPlace.literalBytes <= Math.max(SMALL_BYTES, size / 256) || !(await mayChunk())) return inPlace
  const places = placesOf(await listChunks(baseMiddle, pair.breathe), prefix)
  const moved = around(await match(places, { fd: pair.file, ...middle }, pair.breathe))
  return moved.literalBytes < inPlace.literalBytes ? moved : inPlace
}

async function commonPrefix({ base, file, breathe }: Pair, most: number): Promise<number> {
  const [left, right] = blocks()
  for (let at = 0; at < most; at += BLOCK_BYTES) {
    await breathe()
    const length = Math.min(BLOCK_BYTES, most - at)
    readFully(base, left, at, length)
    readFully(file, right, at, length)
    const same = samePrefix(left, right, length)
    if (same < length) return at + same
  }
  return most
}

async function commonSuffix(
  { base, file, breathe }: Pair,
  { baseSize, size, most }: { baseSize: number; size: number; most: number },
): Promise<number> {
  const [left, right] = blocks()
  for (let done = 0; done < most;) {
    await breathe()
    const length = Math.min(BLOCK_BYTES, most - done)
    readFully(base, left, baseSize - done - length, length)
    readFully(file, right, size - done - length, length)
    if (!left.subarray(0, length).equals(right.subarray(0, length))) {
      let same = 0
      while (left[length - 1 - same] === right[length - 1 - same]) same++
      return done + same
    }
    done += length
  }
  return most
}

/** Copies and literals of a part of the file: what stands at the same place in the base is copied. */
async function commonBlocks(
  { base, file, breathe }: Pair,
  { start, end, baseSize }: { start: number; end: number; baseSize: number },
): Promise<Segment[]> {
  const [left, right] = blocks()
  const segments: Segment[] = []
  const both = Math.max(start, Math.min(end, baseSize))
  for (let at = start; at < both; at += BLOCK_BYTES) {
    await breathe()
    const length = Math.min(BLOCK_BYTES, both - at)
    readFully(base, left, at, length)
    readFully(file, right, at, length)
    const step = left.subarray(0, length).equals(right.subarray(0, length)) ? length : FINE_BYTES
    for (let fine = 0; fine < length; fine += step) {
      const to = Math.min(fine + step, length)
      const same = step === length || left.subarray(fine, to).equals(right.subarray(fine, to))
      addSegment(segments, { base: same ? 0 : LITERAL, offset: at + fine, length: to - fine })
    }
  }
  addSegment(segments, { base: LITERAL, offset: both, length: end - both })
  return segments
}

async function listChunks({ fd, start, end }: Stretch, breathe: () => Promise<void>): Promise<Chunk[]> {
  const chunks: Chunk[] = []
  const lister = createChunkLister(createMd5, (chunk) => chunks.push(chunk))
  const buffer = Buffer.allocUnsafe(BLOCK_BYTES)
  for (let at = start; at < end; at += BLOCK_BYTES) {
    await breathe()
    const length = Math.min(BLOCK_BYTES, end - at)
    readFully(fd, buffer, at, length)
    lister.add(buffer.subarray(0, length))
  }
  lister.end()
  return chunks
}

async function match(places: ReadonlyMap<string, number>, stretch: Stretch, breathe: () => Promise<void>): Promise<Segment[]> {
  return matchChunks(await listChunks(stretch, breathe), places, stretch.start)
}

/** Fewer and longer segments where that costs little: short copies between literals become literals. */
function finish(found: readonly Segment[]): FileDifference {
  let shortest = SHORTEST_COPY
  let segments = join(found, shortest)
  while (segments.length > MOST_SEGMENTS) segments = join(segments, (shortest *= 2))
  const literalBytes = segments.reduce((sum, segment) => sum + (segment.base === LITERAL ? segment.length : 0), 0)
  return { segments, literalBytes }
}

function join(segments: readonly Segment[], shortest: number): Segment[] {
  const joined: Segment[] = []
  let at = 0
  for (const [index, { base, offset, length }] of segments.entries()) {
    const inside = joined.at(-1)?.base === LITERAL || segments[index + 1]?.base === LITERAL
    const copied = base !== LITERAL && !(inside && length < shortest)
    addSegment(joined, copied ? { base, offset, length } : { base: LITERAL, offset: at, length })
    at += length
  }
  return joined
}

function samePrefix(left: Buffer, right: Buffer, length: number): number {
  if (left.subarray(0, length).equals(right.subarray(0, length))) return length
  let same = 0
  while (left[same] === right[same]) same++
  return same
}

const blocks = (): [Buffer, Buffer] => [Buffer.allocUnsafe(BLOCK_BYTES), Buffer.allocUnsafe(BLOCK_BYTES)]

/** A file that got shorter meanwhile leaves old bytes in the buffer: what is made of them has another digest, and is refused. */
function readFully(fd: number, buffer: Buffer, position: number, length: number): void {
  for (let done = 0; done < length;) {
    const read = readSync(fd, buffer, done, length - done, position + done)
    if (read === 0) return
    done += read
  }
}

/** Comparing keeps the thread busy; others get their turn every few blocks. */
function createBreath(signal: AbortSignal): () => Promise<void> {
  let count = 0
  return async () => {
    if (++count % BREATH !== 0) return
    await setImmediate()
    signal.throwIfAborted()
  }
}
