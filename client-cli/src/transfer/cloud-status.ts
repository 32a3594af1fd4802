import { type Digest, isTree } from '@cairn/protocol/digest'
import type { TreeEntry } from '@cairn/protocol/tree'
import { entriesInside, type Output, readEntries, refuseUnknownPaths } from './expand.ts'
import type { Transfer } from './push.ts'

/** An object that is not on both sides: `new` only here, `deleted` only there, `missing` on neither. */
export interface CloudDifference {
  /** The output, or a file inside of it: `data/x.png`. */
  path: string
  digest: Digest
  state: 'new' | 'deleted' | 'missing'
}

/**
 * What differs between the cache and a remote: one question with the roots, and a second with the files of those trees that
 * the remote does not have in full. Trees that only the remote has are fetched into the cache, to know what is in them.
 */
export async function cloudStatus(transfer: Transfer): Promise<CloudDifference[]> {
  const { remote, cache, outputs, options } = transfer
  const roots = [...new Set(outputs.map((output) => output.digest))]
  const lacking = await remote.findMissing(roots, options)
  const unread = cache.missing(roots.filter((root) => isTree(root) && !lacking.has(root)))
  if (unread.length > 0) await remote.fetch(unread, cache, options)
  refuseUnknownPaths(outputs, cache)

  const entries = new Map<Output, readonly TreeEntry[]>()
  const doubtful = new Set<Digest>()
  for (const output of outputs) {
    if (!isTree(output.digest)) continue
    const inside = entriesInside(readEntries(cache, output.digest) ?? [], output.inside)
    entries.set(output, inside)
    if (lacking.has(output.digest)) for (const entry of inside) doubtful.add(entry.digest)
  }
  for (const digest of await remote.findMissingFiles([...doubtful], options)) lacking.add(digest)
  const members = [...entries.values()].flatMap((list) => list.map((entry) => entry.digest))
  const absentHere = new Set([...cache.missing([...new Set([...roots, ...members])]), ...unread])
  return compare(outputs, entries, { absentHere, absentThere: lacking })
}

/** Pure. An output's own line comes before those of its files; each name once. */
function compare(
  outputs: readonly Output[],
  entries: ReadonlyMap<Output, readonly TreeEntry[]>,
  { absentHere, absentThere }: { absentHere: ReadonlySet<Digest>; absentThere: ReadonlySet<Digest> },
): CloudDifference[] {
  const differences = new Map<string, CloudDifference>()
  const look = (path: string, digest: Digest) => {
    const here = !absentHere.has(digest)
    const there = !absentThere.has(digest)
    if (here && there) return
    const state = here ? 'new' : there ? 'deleted' : 'missing'
    differences.set(`${path}\0${digest}`, { path, digest, state })
  }
  for (const output of outputs) {
    if (output.inside === undefined) look(output.path, output.digest)
    for (const entry of entries.get(output) ?? []) look(`${output.path}/${entry.path}`, entry.digest)
  }
  return [...differences.values()]
}

/** The lines of `status -c`. */
export function describeCloudStatus(differences: readonly CloudDifference[], remote: string): string {
  if (differences.length === 0) return `Cache and remote '${remote}' are in sync.`
  return differences.map(({ path, state }) => `\t${`${state}:`.padEnd(20)}${path}`).join('\n')
}
