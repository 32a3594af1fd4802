import { compareCodePoints } from './tree.ts'
import { type Chunks, createTreeDeltaWriter, type TreeDeltaWriter } from './tree-delta.ts'

/** Where one entry ends and the next begins. Inside of a string a quote has a backslash before it, so this is never in a path. */
const BORDER = Buffer.from('"}, {"')
/** From the border's start to the next entry's brace. */
const BORDER_STEP = 4
const PATH_KEY = Buffer.from('"relpath": "')
/** Longer ones are nobody's trees: the difference is given up. */
const MAX_ENTRY_BYTES = 1024 * 1024
const BLOCK_BYTES = 4096

/**
 * The difference between two trees that come as bytes; holds a piece of each. undefined when it has more than `limit` bytes
 * or the trees are written in a way that is not dvc's, so that the whole is to be sent. `onFresh` gets each entry of the tree
 * that the base does not have so, as it is written.
 */
export async function encodeTreeDelta(
  base: Chunks,
  tree: Chunks,
  limit: number,
  onFresh: (entry: Buffer) => void = () => undefined,
): Promise<Uint8Array | undefined> {
  const [before, after] = [openWindow(base), openWindow(tree)]
  const delta = createTreeDeltaWriter()
  try {
    while (delta.size() <= limit) {
      const step = nextStep(before, after, delta, onFresh)
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
function nextStep(before: Window, after: Window, delta: TreeDeltaWriter, onFresh: (entry: Buffer) => void): Step {
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
    if (takeEntry(before, after, { old, fresh }, delta)) onFresh(fresh)
  }
}

/** One of the two entries goes, or both do for being the same file's. True when the fresh one went. */
function takeEntry(
  before: Window,
  after: Window,
  { old, fresh }: { old: Buffer; fresh: Buffer },
  delta: TreeDeltaWriter,
): boolean {
  const order = old.length === 0 ? 1 : fresh.length === 0 ? -1 : comparePaths(pathIn(old), pathIn(fresh))
  if (order < 0) {
    delta.skip(old.length)
    before.drop(old.length)
    return false
  }
  if (order > 0) {
    delta.insert(fresh)
    after.drop(fresh.length)
    return true
  }
  const start = commonStart(old, fresh)
  const end = commonEnd(old.subarray(start), fresh.subarray(start))
  delta.copy(start)
  delta.insert(fresh.subarray(start, fresh.length - end))
  delta.skip(old.length - start - end)
  delta.copy(end)
  before.drop(old.length)
  after.drop(fresh.length)
  return true
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
