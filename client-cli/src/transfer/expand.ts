import { type Digest, isTree } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { TreeEntry } from '@cairn/protocol/tree'
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
}

/** Which of the entries an output means. */
export function entriesInside(entries: readonly TreeEntry[], inside: string | undefined): readonly TreeEntry[] {
  if (inside === undefined) return entries
  return entries.filter((entry) => entry.path === inside || entry.path.startsWith(`${inside}/`))
}

/**
 * Refuses a path that no tree of its output has. With several revisions it is enough that one has it; a tree that cannot be
 * read is given the benefit of the doubt.
 * @throws CairnError FAILED
 */
export function refuseUnknownPaths(outputs: readonly Output[], cache: Pick<ObjectCache, 'readTree'>): void {
  const found = new Map<string, boolean>()
  for (const { path: folder, digest, inside } of outputs) {
    if (inside === undefined) continue
    const name = `${folder}/${inside}`
    if (found.get(name)) continue
    const entries = readEntries(cache, digest)
    found.set(name, entries === undefined || entriesInside(entries, inside).length > 0)
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
  cache: Pick<ObjectCache, 'readTree'>,
): Map<Digest, string> {
  const names = new Map<Digest, string>()
  for (const output of outputs) {
    if (names.size === digests.size) break
    if (digests.has(output.digest) && !names.has(output.digest)) names.set(output.digest, output.path)
    if (!isTree(output.digest)) continue
    for (const entry of readEntries(cache, output.digest) ?? []) {
      if (digests.has(entry.digest) && !names.has(entry.digest)) names.set(entry.digest, `${output.path}/${entry.path}`)
    }
  }
  return names
}
