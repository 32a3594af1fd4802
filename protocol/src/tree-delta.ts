import { CairnError } from './error.ts'
import { MAX_TREE_DELTA_BYTES } from './limits.ts'
import { compareCodePoints } from './tree.ts'

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

type Chunks = AsyncIterable<Uint8Array>

/** Where one entry ends and the next begins. Inside of a string a quote has a backslash before it, so this is never in a path. */
const BORDER = Buffer.from('"}, {"')
/** From the border's start to the next entry's brace. */
const BORDER_STEP = 4
const PATH_KEY = Buffer.from('"relpath": "')
/** Longer ones are nobody's trees: the difference is given up. */
const MAX_ENTRY_BYTES = 1024 * 1024
const BLOCK_BYTES = 4096
/** So many changes are no difference any more, and each costs time on both sides. */
const MAX_RECORDS = 1_000_000
/** Pieces of a rebuilt tree; smaller ones are gathered. */
const PIECE_BYTES = 64 * 1024

/**
 * The difference between two trees that come as bytes; holds a piece of each. undefined when it has more than `limit` bytes
 * or the trees are written in a way that is not dvc's, so that the whole is to be sent.
 */
export async function encodeTreeDelta(base: Chunks, tree: Chunks, limit: number): Promise<Uint8Array | undefined> {
  const [before, after] = [openWindow(base), openWindow(tree)]
  const delta = createDeltaWriter()
  try {
    while (delta.size() <= limit) {
      const step = nextStep(before, after, delta)
      if (step === 'end') return delta.end(limit)
      if (step === 'give-up') return undefined
      if (!(await Promise.all([before.more(step.before), after.more(step.after)])).includes(true)) throw new Error('no progress')
    }
    return undefined
  } finally {
    await Promise.all([before.close(), after.close()])
  }
}

/** A piece of a stream that is looked at. `ended`: nothing comes behind it. */
interface Window {
  readonly rest: Buffer
  readonly ended: boolean
  drop(bytes: number): void
  /** Reads the next piece if `wanted`; false when nothing was read. */
  more(wanted: boolean): Promise<boolean>
  close(): Promise<void>
}

function openWindow(chunks: Chunks): Window {
  const iterator = chunks[Symbol.asyncIterator]()
  let rest: Buffer = Buffer.alloc(0)
  let ended = false
  return {
    get rest() {
      return rest
    },
    get ended() {
      return ended
    },
    drop(bytes) {
      rest = rest.subarray(bytes)
    },
    async more(wanted) {
      if (!wanted || ended) return false
      const next = await iterator.next()
      if (next.done) ended = true
      else rest = Buffer.concat([rest, next.value])
      return true
    },
    async close() {
      if (!ended) await iterator.return?.()
    },
  }
}

type Step = 'end' | 'give-up' | { before: boolean; after: boolean }

/** Goes on as far as the windows reach; both stand at the beginning of an entry. Says which has to be read on. */
function nextStep(before: Window, after: Window, delta: DeltaWriter): Step {
  for (;;) {
    const same = commonStart(before.rest, after.rest)
    const wholeBefore = same === before.rest.length
    const wholeAfter = same === after.rest.length
    if (wholeBefore && wholeAfter && before.ended && after.ended) {
      delta.copy(same)
      return 'end'
    }
    const aligned = lastBorder(before.rest, same)
    delta.copy(aligned)
    before.drop(aligned)
    after.drop(aligned)
    const wanted = { before: wholeBefore && !before.ended, after: wholeAfter && !after.ended }
    if (wanted.before || wanted.after) {
      if (Math.max(before.rest.length, after.rest.length) > MAX_ENTRY_BYTES) return 'give-up'
      return wanted
    }
    const [old, fresh] = [firstEntry(before), firstEntry(after)]
    if (old === undefined || fresh === undefined) {
      const short = Math.max(old === undefined ? before.rest.length : 0, fresh === undefined ? after.rest.length : 0)
      return short > MAX_ENTRY_BYTES ? 'give-up' : { before: old === undefined, after: fresh === undefined }
    }
    if (old.length === 0 && fresh.length === 0) return 'end'
    takeEntry(before, after, { old, fresh }, delta)
  }
}

/** One of the two entries goes, or both do for being the same file's. */
function takeEntry(before: Window, after: Window, { old, fresh }: { old: Buffer; fresh: Buffer }, delta: DeltaWriter): void {
  const order = old.length === 0 ? 1 : fresh.length === 0 ? -1 : comparePaths(pathIn(old), pathIn(fresh))
  if (order < 0) {
    delta.skip(old.length)
    before.drop(old.length)
    return
  }
  if (order > 0) {
    delta.insert(fresh)
    after.drop(fresh.length)
    return
  }
  const start = commonStart(old, fresh)
  const end = commonEnd(old.subarray(start), fresh.subarray(start))
  delta.copy(start)
  delta.insert(fresh.subarray(start, fresh.length - end))
  delta.skip(old.length - start - end)
  delta.copy(end)
  before.drop(old.length)
  after.drop(fresh.length)
}

/** How many bytes agree. Most of it is left to memcmp. */
function commonStart(a: Buffer, b: Buffer): number {
  const length = Math.min(a.length, b.length)
  let same = 0
  while (same < length) {
    const end = Math.min(length, same + BLOCK_BYTES)
    if (a.compare(b, same, end, same, end) !== 0) break
    same = end
  }
  while (same < length && a[same] === b[same]) same++
  return same
}

function commonEnd(a: Buffer, b: Buffer): number {
  const length = Math.min(a.length, b.length)
  let same = 0
  while (same < length && a[a.length - 1 - same] === b[b.length - 1 - same]) same++
  return same
}

/** Where the last entry begins that begins in the first `length` bytes and not at 0; 0 if none does. */
function lastBorder(bytes: Buffer, length: number): number {
  const found = length < BORDER.length ? -1 : bytes.lastIndexOf(BORDER, length - BORDER.length)
  return found < 0 ? 0 : found + BORDER_STEP
}

/** Up to the next entry or the end; undefined when that is not in the window yet. */
function firstEntry({ rest, ended }: Window): Buffer | undefined {
  const found = rest.indexOf(BORDER)
  if (found >= 0) return rest.subarray(0, found + BORDER_STEP)
  return ended ? rest : undefined
}

/** The path as it is written. Of an entry that is written in another way, something to go by. */
function pathIn(entry: Buffer): Buffer {
  const key = entry.indexOf(PATH_KEY)
  const end = entry.lastIndexOf('"}')
  return key < 0 ? entry : entry.subarray(key + PATH_KEY.length, end < 0 ? entry.length : end)
}

const BACKSLASH = 0x5c

/** The order of the paths, which their escapes do not have. A wrong answer costs bytes, never truth. */
function comparePaths(a: Buffer, b: Buffer): number {
  if (!a.includes(BACKSLASH) && !b.includes(BACKSLASH)) return a.compare(b)
  return compareCodePoints(unescaped(a), unescaped(b))
}

function unescaped(path: Buffer): string {
  try {
    return String(JSON.parse(`"${path.toString()}"`))
  } catch {
    return path.toString()
  }
}

interface DeltaWriter {
  skip(bytes: number): void
  copy(bytes: number): void
  insert(bytes: Uint8Array): void
  /** About. */
  size(): number
  /** undefined when it is longer than `limit`. */
  end(limit: number): Uint8Array | undefined
}

function createDeltaWriter(): DeltaWriter {
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
