import { type Digest, isLegacy, md5Of } from './digest.ts'
import { CairnError } from './error.ts'
import { createTreeScanner, type PassingEntry } from './tree-scanner.ts'

export { isSafePath } from './tree-scanner.ts'

/** One file of a tree. `path` is relative, with `/`, and safe to join to a directory. */
export interface TreeEntry {
  path: string
  digest: Digest
}

/**
 * Parses a `.dir` object: a JSON list of `{"md5", "relpath"}`. Other keys are ignored, as dvc does. Entries of a legacy
 * tree are legacy digests. Order is kept: it is the order of the bytes.
 * @throws CairnError BAD_TREE on anything else: not JSON, a digest or path of the wrong shape, an unsafe or doubled path,
 * a path below another entry's path.
 */
export function parseTree(bytes: Uint8Array, options: { legacy?: boolean } = {}): TreeEntry[] {
  const reader = createTreeReader(options)
  reader.push(bytes)
  return reader.end()
}

export interface TreeReader {
  push(chunk: Uint8Array): void
  end(): TreeEntry[]
}

/** As `parseTree`, for bytes that come in pieces: a large tree is then never held as text. */
export function createTreeReader({ legacy = false }: { legacy?: boolean } = {}): TreeReader {
  const entries: TreeEntry[] = []
  const scanner = createTreeScanner((entry) => entries.push({ path: entry.path(), digest: fileDigest(entry, legacy) }))
  return {
    push: (chunk) => scanner.push(chunk),
    end() {
      if (!scanner.end().sorted) refuseCollisions(entries)
      return entries
    },
  }
}

/** What an entry of this tree names. */
export const fileOf = (tree: Digest, entry: PassingEntry): Digest => fileDigest(entry, isLegacy(tree))

// The scanner has seen that it is an md5; looking again costs a third of reading a tree.
const fileDigest = (entry: PassingEntry, legacy: boolean): Digest => (legacy ? `legacy-${entry.md5()}` : entry.md5()) as Digest

function refuseCollisions(entries: readonly TreeEntry[]): void {
  const paths = new Set<string>()
  const folders = new Set<string>()
  for (const { path } of entries) {
    if (paths.has(path)) throw new CairnError('BAD_TREE', `the tree names ${JSON.stringify(path)} twice`)
    paths.add(path)
    // Stops at the first known folder: its own parents are known too, so a deep tree costs one look-up an entry.
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
      const folder = path.slice(0, cut)
      if (folders.has(folder)) break
      folders.add(folder)
    }
  }
  for (const folder of folders) {
    if (paths.has(folder)) throw new CairnError('BAD_TREE', `the tree names ${JSON.stringify(folder)} as a file and as a folder`)
  }
}

/**
 * Writes the exact bytes dvc writes for a tree (its md5 is the tree's name): sorted by code point, keys md5 then relpath,
 * `", "` and `": "` as separators, ASCII only.
 */
export function serializeTree(entries: readonly TreeEntry[]): Uint8Array {
  const sorted = entries.toSorted((a, b) => compareCodePoints(a.path, b.path))
  let text = '['
  let first = true
  for (const { path, digest } of sorted) {
    if (!first) text += ', '
    first = false
    text += `{"md5": "${md5Of(digest)}", "relpath": ${asciiJson(path)}}`
  }
  return new TextEncoder().encode(`${text}]`)
}

/** The order of Python's `sorted` on strings: by code point, not by UTF-16 unit as JavaScript's. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index)
    const y = b.charCodeAt(index)
    if (x === y) continue
    // A surrogate stands for a code point above U+FFFF, so it sorts after every other unit.
    const xs = x >= 0xd800 && x <= 0xdfff
    const ys = y >= 0xd800 && y <= 0xdfff
    return xs === ys ? x - y : xs ? 1 : -1
  }
  return a.length - b.length
}

/** A JSON string as Python's `json.dumps` writes it: non-ASCII (and DEL) as `\uXXXX`. */
export function asciiJson(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** True when every entry lives in the same namespace as its tree. */
export const sameNamespace = (tree: Digest, entry: Digest): boolean => isLegacy(tree) === isLegacy(entry)
