import { CairnError } from './error.ts'

/** An entry as it passes: to be read during the call that brings it, not kept. */
export interface PassingEntry {
  /** 32 hex digits. */
  md5(): string
  path(): string
  /** Writes the 16 bytes of the md5. */
  copyMd5(target: Uint8Array, offset: number): void
}

export interface TreeScanner {
  /** The next bytes of the tree; they may be overwritten afterwards. @throws CairnError BAD_TREE */
  push(chunk: Uint8Array): void
  /**
   * The tree ended. `sorted`: the paths came in the order of their code points, as dvc writes them; then it is certain that
   * no path comes twice and none is a file and a folder. @throws CairnError BAD_TREE
   */
  end(): { entries: number; sorted: boolean }
}

/** The longest entry, in bytes. */
const MAX_ENTRY_BYTES = 1024 * 1024

const OPEN = bytesOf('{"md5": "')
const MIDDLE = bytesOf('", "relpath": "')
const MD5_DIGITS = 32
const PATH_AT = OPEN.length + MD5_DIGITS + MIDDLE.length

const [SPACE, TAB, LINE_FEED, RETURN] = [0x20, 0x09, 0x0a, 0x0d]
const [QUOTE, COMMA, DOT, SLASH, COLON, BACKSLASH] = [0x22, 0x2c, 0x2e, 0x2f, 0x3a, 0x5c]
const [LIST_START, LIST_END, OBJECT_START, OBJECT_END] = [0x5b, 0x5d, 0x7b, 0x7d]

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/**
 * Reads a tree as its bytes arrive and holds one entry of it. What dvc writes is read in place; any other JSON that says
 * the same is read entry by entry with the JSON parser.
 */
export function createTreeScanner(onEntry: (entry: PassingEntry) => void): TreeScanner {
  const order = createOrderCheck()
  let window: Buffer = Buffer.alloc(0)
  let at = 0
  let entries = 0
  let state: 'start' | 'first' | 'entry' | 'after' | 'end' = 'start'
  let parsed: { md5: string; path: string } | undefined
  let pathEnd = 0

  const passing: PassingEntry = {
    md5: () => parsed?.md5 ?? window.toString('latin1', at + OPEN.length, at + OPEN.length + MD5_DIGITS),
    path: () => parsed?.path ?? window.toString('latin1', at + PATH_AT, pathEnd),
    copyMd5(target, offset) {
      const source = parsed ? bytesOf(parsed.md5) : window
      copyHex(source, parsed ? 0 : at + OPEN.length, target, offset)
    },
  }

  /** False when the entry goes on beyond the window. */
  const takePlain = (): boolean => {
    pathEnd = findPlainEnd(window, at)
    if (pathEnd < 0) return false
    parsed = undefined
    order.next(window, at + PATH_AT, pathEnd)
    onEntry(passing)
    at = pathEnd + 2
    return true
  }
  const takeAny = (): boolean => {
    const end = findObjectEnd(window, at)
    if (end < 0) {
      if (window.length - at > MAX_ENTRY_BYTES)
        throw badTree(`entry ${entries} of the tree is longer than ${MAX_ENTRY_BYTES} bytes`)
      return false
    }
    parsed = parseEntry(window.subarray(at, end), entries)
    const path = encodePath(parsed.path)
    order.next(path, 0, path.length)
    onEntry(passing)
    at = end
    return true
  }
  /** Goes on as far as the window reaches. */
  const advance = (): void => {
    for (; at < window.length;) {
      const byte = window[at]
      if (byte === SPACE || byte === COMMA || byte === TAB || byte === LINE_FEED || byte === RETURN) {
        if (byte === COMMA) {
          if (state !== 'after') throw notJson()
          state = 'entry'
        }
        at++
      } else if (byte === OBJECT_START && (state === 'entry' || state === 'first')) {
        if (!takePlain() && !takeAny()) return
        entries++
        state = 'after'
      } else if (byte === LIST_START && state === 'start') {
        state = 'first'
        at++
      } else if (byte === LIST_END && (state === 'after' || state === 'first')) {
        state = 'end'
        at++
      } else throw unexpected(state, entries)
    }
  }

  return {
    push(chunk) {
      const rest = window.length - at
      const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      window = rest === 0 ? fresh : Buffer.concat([window.subarray(at), fresh])
      at = 0
      advance()
      order.release()
      // The chunk is the caller's again.
      window = Buffer.from(window.subarray(at))
      at = 0
    },
    end() {
      if (state !== 'end') throw notJson()
      return { entries, sorted: order.sorted() }
    },
  }
}

function unexpected(state: string, entries: number): CairnError {
  if (state === 'start') return badTree('the tree is not a list')
  return state === 'entry' || state === 'first' ? badTree(`entry ${entries} of the tree has no md5 and relpath`) : notJson()
}

const badTree = (message: string, cause?: unknown): CairnError =>
  new CairnError('BAD_TREE', message, cause === undefined ? {} : { cause })
const notJson = (cause?: unknown): CairnError => badTree('the tree is not valid JSON', cause)

/**
 * Where the path ends of an entry just as dvc writes it, with a path that is plain ASCII and safe at first sight. -1 for
 * everything else: that is looked at again with more care.
 */
function findPlainEnd(bytes: Buffer, from: number): number {
  if (bytes.length - from < PATH_AT + 2) return -1
  for (let index = 0; index < OPEN.length; index++) if (bytes[from + index] !== OPEN[index]) return -1
  let at = from + OPEN.length
  for (const end = at + MD5_DIGITS; at < end; at++) if (!isHexDigit(bytes[at])) return -1
  for (let index = 0; index < MIDDLE.length; index++) if (bytes[at + index] !== MIDDLE[index]) return -1
  at += MIDDLE.length
  if (bytes[at + 1] === COLON) return -1
  let previous = SLASH
  for (; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === QUOTE) break
    if (byte < SPACE || byte >= 0x80 || byte === BACKSLASH) return -1
    if (previous === SLASH && (byte === DOT || byte === SLASH)) return -1
    previous = byte
  }
  return previous !== SLASH && bytes[at + 1] === OBJECT_END ? at : -1
}

const isHexDigit = (byte = 0): boolean => (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66)

/** Behind the object that starts at `from`, by its brackets alone; -1 when it goes on. */
function findObjectEnd(bytes: Buffer, from: number): number {
  let depth = 0
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      at = findStringEnd(bytes, at)
      if (at < 0) return -1
    } else if (byte === OBJECT_START || byte === LIST_START) depth++
    else if ((byte === OBJECT_END || byte === LIST_END) && --depth === 0) return at + 1
  }
  return -1
}

function findStringEnd(bytes: Buffer, from: number): number {
  for (let at = from + 1; at < bytes.length; at++) {
    if (bytes[at] === BACKSLASH) at++
    else if (bytes[at] === QUOTE) return at
  }
  return -1
}

function parseEntry(bytes: Uint8Array, index: number): { md5: string; path: string } {
  let row: unknown
  try {
    row = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (cause) {
    throw notJson(cause)
  }
  if (typeof row !== 'object' || row === null || !('md5' in row) || !('relpath' in row))
    throw badTree(`entry ${index} of the tree has no md5 and relpath`)
  const { md5, relpath } = row
  if (typeof md5 !== 'string' || !/^[0-9a-f]{32}$/.test(md5)) throw badTree(`entry ${index} of the tree has no valid md5`)
  if (typeof relpath !== 'string' || !isSafePath(relpath))
    throw badTree(`entry ${index} of the tree has the unsafe path ${JSON.stringify(relpath)}`)
  return { md5, path: relpath }
}

/** A path that stays below the directory it is joined to: no empty, `.` or `..` segment, not absolute, no NUL, no `.dvc`/`.git` folder. */
export function isSafePath(path: string): boolean {
  if (path === '' || path.includes('\0') || /^[A-Za-z]:[\\/]/.test(path)) return false
  return path
    .split('/')
    .every((segment) => segment !== '' && segment !== '.' && segment !== '..' && segment !== '.git' && segment !== '.dvc')
}

interface OrderCheck {
  /** The next path, as bytes that sort like its code points. @throws CairnError BAD_TREE */
  next(bytes: Buffer, from: number, to: number): void
  /** The bytes of the last path are about to be overwritten. */
  release(): void
  sorted(): boolean
}

/**
 * Finds a path that comes twice, or as a file and as a folder, as long as the paths are sorted. A folder's files then come
 * behind everything that begins like its name: `nested` are the lengths of the paths that the last one begins with, itself
 * included, and of those only the longest can be news.
 */
function createOrderCheck(): OrderCheck {
  let last: Buffer = Buffer.alloc(0)
  let lastFrom = 0
  let lastTo = 0
  const nested: number[] = []
  let sorted = true
  return {
    next(bytes, from, to) {
      if (!sorted) return
      const length = Math.min(to - from, lastTo - lastFrom)
      let same = 0
      while (same < length && bytes[from + same] === last[lastFrom + same]) same++
      if (nested.length > 0) {
        if (same === to - from && same === lastTo - lastFrom) throw badTree(`the tree names ${name(bytes, from, to)} twice`)
        sorted = same === lastTo - lastFrom || (same < to - from && (bytes[from + same] ?? 0) > (last[lastFrom + same] ?? 0))
        if (!sorted) return
        while ((nested.at(-1) ?? 0) > same) nested.pop()
        const folder = nested.at(-1)
        if (folder !== undefined && bytes[from + folder] === SLASH)
          throw badTree(`the tree names ${name(bytes, from, from + folder)} as a file and as a folder`)
      }
      nested.push(to - from)
      last = bytes
      lastFrom = from
      lastTo = to
    },
    release() {
      last = Buffer.from(last.subarray(lastFrom, lastTo))
      lastTo -= lastFrom
      lastFrom = 0
    },
    sorted: () => sorted,
  }
}

const name = (bytes: Buffer, from: number, to: number): string => JSON.stringify(bytes.toString('utf8', from, to))

/** UTF-8, with a lone surrogate (a byte of a file name that is no UTF-8, as Python has it) as three bytes of its own. */
function encodePath(path: string): Buffer {
  if (path.isWellFormed()) return Buffer.from(path)
  return Buffer.concat(
    Array.from(path, (character) => {
      if (character.isWellFormed()) return Buffer.from(character)
      const unit = character.charCodeAt(0)
      return Buffer.from([0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)])
    }),
  )
}

const hexValue = (byte = 0): number => (byte <= 0x39 ? byte - 0x30 : byte - 0x57)

function copyHex(source: Uint8Array, from: number, target: Uint8Array, offset: number): void {
  for (let index = 0; index < 16; index++) {
    target[offset + index] = (hexValue(source[from + index * 2]) << 4) | hexValue(source[from + index * 2 + 1])
  }
}
