import { type Digest, isTree } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { fileOf, type TreeEntry } from '@cairn/protocol/tree'
import type { PassingEntry } from '@cairn/protocol/tree-scanner'
import type { ObjectCache } from '../cache/object-cache.ts'

/** The recorded content of an output that travels: of the workspace, or of a revision. */
export interface Output {
  /** Root-relative. */
  path: string
  digest: Digest
  /** A file or folder inside of the output: only that is meant. */
  inside?: string
  /** The remote that the output's own entry names. */
  remote?: string
  /** The stage file that names it, root-relative: `data.dvc`, `dvc.yaml`. */
  file?: string
}

/** Which of the entries an output means. */
export function entriesInside(entries: readonly TreeEntry[], inside: string | undefined): readonly TreeEntry[] {
  return inside === undefined ? entries : entries.filter((entry) => isInside(entry.path, inside))
}

const isInside = (path: string, inside: string): boolean => path === inside || path.startsWith(`${inside}/`)

/**
 * Calls back with each entry of a folder's tree that an output means; holds none of them. False when the tree is not in the
 * cache or damaged (then it was moved aside): what was called back with before that is worth nothing.
 */
export function scanInside(
  cache: Pick<ObjectCache, 'scanTree'>,
  { digest, inside }: Pick<Output, 'digest' | 'inside'>,
  onEntry: (entry: PassingEntry) => void,
): boolean {
  try {
    cache.scanTree(digest, inside === undefined ? onEntry : (entry) => isInside(entry.path(), inside) && onEntry(entry))
    return true
  } catch (error) {
    if (isCode(error, 'CACHE_MISSING', 'CACHE_DAMAGED')) return false
    throw error
  }
}

/** The files that an output means, as they are in its tree; undefined as `scanInside`. */
export function filesInside(
  cache: Pick<ObjectCache, 'scanTree'>,
  output: Pick<Output, 'digest' | 'inside'>,
): Digest[] | undefined {
  const files: Digest[] = []
  return scanInside(cache, output, (entry) => files.push(fileOf(output.digest, entry))) ? files : undefined
}

/**
 * Refuses a path that no tree of its output has. With several revisions it is enough that one has it; a tree that cannot be
 * read is given the benefit of the doubt.
 * @throws CairnError FAILED
 */
export function refuseUnknownPaths(outputs: readonly Output[], cache: Pick<ObjectCache, 'scanTree'>): void {
  const found = new Map<string, boolean>()
  for (const { path: folder, digest, inside } of outputs) {
    if (inside === undefined) continue
    const name = `${folder}/${inside}`
    if (found.get(name)) continue
    const files = filesInside(cache, { digest, inside })
    found.set(name, files === undefined || files.length > 0)
  }
  for (const [name, known] of found)
    if (!known) throw new CairnError('FAILED', `'${name}' does not exist in a tracked folder`, { exit: 1 })
}

/** A tree's entries out of the cache; undefined when it is not there or damaged (then it was moved aside). */
export function readEntries(cache: Pick<ObjectCache, 'readTree'>, tree: Digest): TreeEntry[] | undefined {
  try {
    return cache.readTree(tree)
  } catch (error) {
    if (isCode(error, 'CACHE_MISSING', 'CACHE_DAMAGED')) return undefined
    throw error
  }
}

/** What a person calls these objects: `data` or `data/x.png`; one name each, in the order of the outputs. */
export function nameObjects(
  outputs: readonly Output[],
  digests: ReadonlySet<Digest>,
  cache: Pick<ObjectCache, 'scanTree'>,
): Map<Digest, string> {
  const names = new Map<Digest, string>()
  for (const output of outputs) {
    if (names.size === digests.size) break
    if (digests.has(output.digest) && !names.has(output.digest)) names.set(output.digest, output.path)
    if (!isTree(output.digest)) continue
    scanInside(cache, { digest: output.digest }, (entry) => {
      const file = fileOf(output.digest, entry)
      if (digests.has(file) && !names.has(file)) names.set(file, `${output.path}/${entry.path()}`)
    })
  }
  return names
}
