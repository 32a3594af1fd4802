import type { Digest } from '@cairn/protocol/digest'
import { compareCodePoints, type TreeEntry } from '@cairn/protocol/tree'

export interface MergedTree {
  entries: TreeEntry[]
  /** Paths that both sides changed, each in another way, sorted; then `entries` mean nothing. */
  conflicts: string[]
}

/**
 * Three-way: what one side added, changed or removed is taken, and what both did alike. Pure.
 * A file on one side that is a folder on the other is a conflict of both paths.
 */
export function mergeTrees(base: readonly TreeEntry[], ours: readonly TreeEntry[], theirs: readonly TreeEntry[]): MergedTree {
  const [from, left, right] = [byPath(base), byPath(ours), byPath(theirs)]
  const entries: TreeEntry[] = []
  const conflicts = new Set<string>()
  for (const path of [...new Set([...from.keys(), ...left.keys(), ...right.keys()])].toSorted(compareCodePoints)) {
    const [before, mine, other] = [from.get(path), left.get(path), right.get(path)]
    const merged = mine === other || other === before ? mine : mine === before ? other : undefined
    if (mine !== other && mine !== before && other !== before) conflicts.add(path)
    else if (merged !== undefined) entries.push({ path, digest: merged })
  }
  const files = new Set(entries.map((entry) => entry.path))
  for (const path of files)
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1))
      if (files.has(path.slice(0, cut))) conflicts.add(path).add(path.slice(0, cut))
  return { entries, conflicts: [...conflicts].toSorted(compareCodePoints) }
}

const byPath = (entries: readonly TreeEntry[]): Map<string, Digest> => new Map(entries.map(({ path, digest }) => [path, digest]))
