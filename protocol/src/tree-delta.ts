import { CairnError } from './error.ts'
import { MAX_TREE_DELTA_BYTES } from './limits.ts'

/**
 * A tree as the difference to another one: which bytes of the base to leave out, which to keep, and what to put in. It is
 * made entry by entry, but says nothing about entries: whatever the base and the tree look like, the bytes come back
 * exactly, or their md5 does not agree.
 *
 *   "CAIRNTD1" record*
 *   record: varint skip | varint copy | varint insert | insert bytes
 *
 * A varint has 7 bits a byte, low bits first. A record keeps or puts in at least one byte. What the last record leaves of
 * the base is left out.
 */

const MAGIC = new TextEncoder().encode('CAIRNTD1')

export type Chunks = AsyncIterable<Uint8Array>

/** So many changes are no difference any more, and each costs time on both sides. */
const MAX_RECORDS = 1_000_000
/** Pieces of a rebuilt tree; smaller ones are gathered. */
const PIECE_BYTES = 64 * 1024

/** Writes a delta from its start to its end. */
export interface TreeDeltaWriter {
  skip(bytes: number): void
  copy(bytes: number): void
  insert(bytes: Uint8Array): void
  /** About. */
  size(): number
  /** undefined when it is longer than `limit`. */
  end(limit: number): Uint8Array | undefined
}

export function createTreeDeltaWriter(): TreeDeltaWriter {
  const pieces: Uint8Array[] = [MAGIC]
  let size = MAGIC.length
  let skipped = 0
  let copied = 0
  let inserted: Buffer[] = []
  let records = 0
  const write = (piece: Uint8Array) => {
    pieces.push(piece)
    size += piece.length
  }
  const flush = () => {
    if (copied > 0 || inserted.length > 0) {
      const insert = Buffer.concat(inserted)
      write(new Uint8Array([...varint(skipped), ...varint(copied), ...varint(insert.length)]))
      if (insert.length > 0) write(insert)
      skipped = 0
      records++
    }
    copied = 0
    inserted = []
  }
  return {
    skip(bytes) {
      if (bytes === 0) return
      flush()
      skipped += bytes
    },
    copy(bytes) {
      if (bytes === 0) return
      if (inserted.length > 0) flush()
      copied += bytes
    },
    insert(bytes) {
      // A copy: the window that it is a part of would stay in memory with it.
      if (bytes.length > 0) inserted.push(Buffer.from(bytes))
    },
    size: () => size + inserted.reduce((sum, piece) => sum + piece.length, 0),
    end(limit) {
      flush()
      return size > limit || records > MAX_RECORDS ? undefined : Buffer.concat(pieces, size)
    },
  }
}

function* varint(value: number): Generator<number> {
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) yield (rest % 128) | 128
  yield rest
}

/**
 * The tree that a delta makes of its base, as it is read. At most `limit` bytes of it. Stops reading the base when it needs
 * no more. The caller compares the md5: a delta cannot be wrong in any other way.
 * @throws CairnError BAD_DELTA (before anything is read, when the frame is broken; later, when the base is too short),
 * BODY_TOO_LARGE
 */
export function applyTreeDelta(delta: Uint8Array, base: Chunks, limit: number): AsyncGenerator<Uint8Array> {
  if (delta.length > MAX_TREE_DELTA_BYTES) throw badDelta(`has more than ${MAX_TREE_DELTA_BYTES} bytes`)
  if (MAGIC.some((byte, index) => delta[index] !== byte)) throw badDelta('does not begin like one')
  let size = 0
  let count = 0
  for (const { copy, insert } of readRecords(delta)) {
    size += copy + insert.length
    if (++count > MAX_RECORDS) throw badDelta(`has more than ${MAX_RECORDS} records`)
  }
  if (size > limit) throw new CairnError('BODY_TOO_LARGE', `the tree has ${size} bytes, more than the ${limit} accepted here`)
  return gather(rebuild(delta, base))
}

interface DeltaRecord {
  skip: number
  copy: number
  insert: Uint8Array
}

function* readRecords(delta: Uint8Array): Generator<DeltaRecord> {
  let at = MAGIC.length
  const number = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = delta[at++]
      if (byte === undefined) throw badDelta('ends inside of a record')
      value += (byte & 127) * scale
      if (value > Number.MAX_SAFE_INTEGER || scale > 2 ** 49) throw badDelta('holds a number that is too large')
      if (byte < 128) return value
    }
  }
  while (at < delta.length) {
    const [skip, copy, length] = [number(), number(), number()]
    if (length > delta.length - at) throw badDelta('ends inside of a record')
    if (copy + length === 0) throw badDelta('holds a record that does nothing')
    yield { skip, copy, insert: delta.subarray(at, at + length) }
    at += length
  }
}

const badDelta = (what: string): CairnError => new CairnError('BAD_DELTA', `the tree's delta ${what}`)

async function* rebuild(delta: Uint8Array, base: Chunks): AsyncGenerator<Uint8Array> {
  const iterator = base[Symbol.asyncIterator]()
  let chunk: Uint8Array = new Uint8Array()
  let ended = false
  /** The next at most `wanted` bytes of the base. */
  const take = async (wanted: number): Promise<Uint8Array> => {
    while (chunk.length === 0) {
      const next = await iterator.next()
      if (next.done) {
        ended = true
        throw badDelta('asks for more than its base has')
      }
      chunk = next.value
    }
    const part = chunk.subarray(0, wanted)
    chunk = chunk.subarray(part.length)
    return part
  }
  try {
    for (const { skip, copy, insert } of readRecords(delta)) {
      for (let left = skip; left > 0;) left -= (await take(left)).length
      for (let left = copy; left > 0;) {
        const part = await take(left)
        left -= part.length
        yield part
      }
      if (insert.length > 0) yield insert
    }
  } finally {
    if (!ended) await iterator.return?.()
  }
}

async function* gather(pieces: Chunks): AsyncGenerator<Uint8Array> {
  let buffer = Buffer.allocUnsafe(PIECE_BYTES)
  let filled = 0
  for await (const piece of pieces) {
    if (filled + piece.length > buffer.length) {
      if (filled > 0) yield buffer.subarray(0, filled)
      buffer = Buffer.allocUnsafe(PIECE_BYTES)
      filled = 0
    }
    if (piece.length >= buffer.length) yield piece
    else {
      buffer.set(piece, filled)
      filled += piece.length
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled)
}
