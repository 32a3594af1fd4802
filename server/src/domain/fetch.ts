import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Digest } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { MAX_MEMBER_BYTES, PackWriter } from '@cairn/protocol/pack'
import { recordDamage } from './damage.ts'
import type { ObjectRow, ProjectRow } from './ports/catalog.ts'
import type { Stores } from './stores.ts'
import { isIntact } from './verify-stream.ts'

/** Reading over a gap of this size is cheaper than asking the storage again. */
const GAP_BYTES = 64 * 1024
/** A longer range is cut, so that a reader who leaves early leaves little behind. */
const RANGE_BYTES = 8 * 1024 * 1024
/** Given away at once: two writes to a socket for each small member cost more than reading it. */
const BLOCK_BYTES = 128 * 1024
/** Reads under way at once for one answer, to hide the storage's latency. */
const READ_AHEAD = 3

/** Members of one blob that are read with one request. */
export interface ReadRange {
  key: string
  start: number
  end: number
  rows: ObjectRow[]
}

/** Orders objects as storage reads them best: by blob and offset, close neighbours in one range. Pure. */
export function planRanges(rows: readonly ObjectRow[]): ReadRange[] {
  const sorted = rows.toSorted((a, b) => (a.blobId === b.blobId ? a.offset - b.offset : a.blobId - b.blobId))
  const ranges: ReadRange[] = []
  for (const row of sorted) {
    const last = ranges.at(-1)
    const end = row.offset + row.size
    const joins =
      last?.key === row.key && row.offset >= last.end && row.offset - last.end < GAP_BYTES && end - last.start <= RANGE_BYTES
    if (last && joins) {
      last.rows.push(row)
      last.end = end
    } else ranges.push({ key: row.key, start: row.offset, end, rows: [row] })
  }
  return ranges
}

/**
 * The objects as a pack, in the order of `planRanges`. Unknown and damaged ones are "absent" records; those too large for a
 * pack are left out. Every member is hashed before it is given away. Holds one member, a block and a few opened reads.
 */
export function fetchObjects(
  stores: Stores,
  project: ProjectRow,
  digests: readonly Digest[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  return inBlocks(packPieces(stores, project, digests, signal))
}

/** The same bytes, small pieces put together. */
async function* inBlocks(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let block: Uint8Array[] = []
  let length = 0
  for await (const piece of pieces) {
    block.push(piece)
    length += piece.length
    if (length < BLOCK_BYTES) continue
    yield Buffer.concat(block, length)
    block = []
    length = 0
  }
  if (length > 0) yield Buffer.concat(block, length)
}

async function* packPieces(
  stores: Stores,
  project: ProjectRow,
  digests: readonly Digest[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const wanted = [...new Set(digests)]
  const rows = await stores.catalog.findObjects(project.id, wanted)
  const live = new Map(rows.filter((row) => row.state === 'live').map((row) => [row.digest, row]))
  const pack = new PackWriter()
  yield pack.start()
  for (const digest of wanted) if (!live.has(digest)) yield pack.absent(digest)

  const damaged: ObjectRow[] = []
  const packable = [...live.values()].filter((row) => row.size <= MAX_MEMBER_BYTES)
  for await (const { row, bytes } of readMembers(stores, planRanges(packable), signal)) {
    if (bytes && isIntact(bytes, row)) {
      yield pack.header(row.digest, bytes.length)
      if (bytes.length > 0) yield bytes
    } else {
      damaged.push(row)
      yield pack.absent(row.digest)
    }
  }
  await recordDamage(stores, project.id, damaged, 'found while it was fetched')
  yield pack.end(randomBytes(16))
}

interface ReadMember {
  row: ObjectRow
  /** undefined when the blob is gone or ends before the member does. */
  bytes: Uint8Array | undefined
}

async function* readMembers(stores: Stores, ranges: readonly ReadRange[], signal: AbortSignal): AsyncGenerator<ReadMember> {
  const opened: Array<Promise<Readable | undefined>> = []
  let next = 0
  const openMore = () => {
    while (opened.length < READ_AHEAD && next < ranges.length) {
      const range = ranges[next++]
      if (range) opened.push(openRange(stores, range, signal))
    }
  }
  try {
    for (const range of ranges) {
      openMore()
      const stream = await opened.shift()
      openMore()
      yield* cutRange(range, stream)
    }
  } finally {
    for (const pending of opened) {
      pending.then(
        (stream) => stream?.destroy(),
        () => undefined,
      )
    }
  }
}

function openRange(stores: Stores, range: ReadRange, signal: AbortSignal): Promise<Readable | undefined> {
  if (range.end === range.start) return Promise.resolve(undefined)
  const stream = stores.blobs
    .get(range.key, { range: { start: range.start, end: range.end }, signal })
    .catch((error: unknown) => {
      if (isCode(error, 'NOT_FOUND')) return undefined
      throw error
    })
  // An opened read that nobody comes to take must not end the server.
  stream.then(
    (opened) => opened?.on('error', () => undefined),
    () => undefined,
  )
  return stream
}

async function* cutRange(range: ReadRange, stream: Readable | undefined): AsyncGenerator<ReadMember> {
  const source = stream?.[Symbol.asyncIterator]() as AsyncIterator<Uint8Array> | undefined
  let position = range.start
  let chunk: Uint8Array = new Uint8Array()
  let ended = source === undefined

  const more = async (): Promise<boolean> => {
    while (chunk.length === 0 && !ended) {
      const read = await source?.next()
      if (!read || read.done) ended = true
      else chunk = read.value
    }
    return chunk.length > 0
  }
  const take = (length: number): Uint8Array => {
    const part = chunk.subarray(0, length)
    chunk = chunk.subarray(part.length)
    position += part.length
    return part
  }
  const skipTo = async (offset: number): Promise<boolean> => {
    while (position < offset && (await more())) take(offset - position)
    return position === offset
  }
  // Most members lie inside one chunk and are not copied.
  const read = async (length: number): Promise<Uint8Array | undefined> => {
    if (length === 0 || ((await more()) && chunk.length >= length)) return take(length)
    const bytes = new Uint8Array(length)
    let filled = 0
    for (; filled < length && (await more());) {
      const part = take(length - filled)
      bytes.set(part, filled)
      filled += part.length
    }
    return filled === length ? bytes : undefined
  }

  try {
    for (const row of range.rows) {
      const bytes = (await skipTo(row.offset)) ? await read(row.size) : undefined
      yield { row, bytes }
    }
  } finally {
    stream?.destroy()
  }
}
