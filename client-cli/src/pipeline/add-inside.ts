import { lstatSync } from 'node:fs'
import path from 'node:path'
import { isLegacy, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { TreeEntry } from '@cairn/protocol/tree'
import type { SaveOptions, Workspace } from '../workspace/workspace.ts'
import { recordedOf } from './run-stage.ts'
import type { Out, Recorded } from './stage.ts'

/**
 * Takes up one path inside of a tracked folder: its entries are replaced, or removed when it is gone; the rest of the folder
 * stays as it was recorded and need not be here. @throws CairnError CACHE_MISSING when the folder's tree is not in the cache
 */
export async function addInside(workspace: Workspace, out: Out, inside: string, options: SaveOptions): Promise<Recorded> {
  const before = out.recorded
  // Without a tree of today's kind to change, the folder is taken up whole.
  if (!before || !isTree(before.digest) || isLegacy(before.digest)) return recordedOf(await workspace.save(out.path, options))
  const entries = workspace.cache.readTree(before.digest)
  const [others, replaced] = [entries.filter((entry) => !isAt(entry, inside)), entries.filter((entry) => isAt(entry, inside))]
  if (!stands(workspace, out, inside) && replaced.length === 0) {
    const absolute = path.join(workspace.repo.root, out.path, inside)
    throw new CairnError(
      'COMMAND_FAILED',
      `output '${out.path}/${inside}' does not exist: [Errno 2] No such file or directory: '${absolute}'`,
    )
  }
  const sizes = { before: before.size, replaced: sizeOf(workspace, replaced) }
  const fresh = await entriesInside(workspace, out, inside, options)
  const digest = workspace.cache.storeTree([...others, ...fresh.entries])
  const rest =
    sizes.before !== undefined && sizes.replaced !== undefined ? sizes.before - sizes.replaced : sizeOf(workspace, others)
  return { digest, ...(rest !== undefined && { size: rest + fresh.size }), nfiles: others.length + fresh.entries.length }
}

const isAt = ({ path: file }: TreeEntry, inside: string): boolean => file === inside || file.startsWith(`${inside}/`)

const stands = (workspace: Workspace, out: Out, inside: string): boolean =>
  lstatSync(path.join(workspace.repo.root, out.path, inside), { throwIfNoEntry: false }) !== undefined

async function entriesInside(
  workspace: Workspace,
  out: Out,
  inside: string,
  options: SaveOptions,
): Promise<{ entries: TreeEntry[]; size: number }> {
  if (!stands(workspace, out, inside)) return { entries: [], size: 0 }
  const content = await workspace.save(`${out.path}/${inside}`, options)
  // It is a part of an output, not one of its own that a checkout could find stale.
  workspace.forget(`${out.path}/${inside}`)
  const entries = content.entries?.map((entry) => ({ ...entry, path: `${inside}/${entry.path}` })) ?? [
    { path: inside, digest: content.digest },
  ]
  return { entries, size: content.size }
}

/** undefined when one of them is not in the cache: then the size is left out of the file, as dvc does. */
function sizeOf({ cache }: Workspace, entries: readonly TreeEntry[]): number | undefined {
  let size = 0
  for (const { digest } of entries) {
    const stat = cache.soundStat(digest)
    if (!stat) return undefined
    size += stat.size
  }
  return size
}
