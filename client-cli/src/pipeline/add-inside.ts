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
 * stays as it was recorded. @throws CairnError CACHE_MISSING when the folder's tree, or a size, is not known here
 */
export async function addInside(workspace: Workspace, out: Out, inside: string, options: SaveOptions): Promise<Recorded> {
  const before = out.recorded
  // Without a tree of today's kind to change, the folder is taken up whole.
  if (!before || !isTree(before.digest) || isLegacy(before.digest)) return recordedOf(await workspace.save(out.path, options))
  const entries = workspace.cache.readTree(before.digest)
  const others = entries.filter(({ path: file }) => file !== inside && !file.startsWith(`${inside}/`))
  if (!stands(workspace, out, inside) && others.length === entries.length) {
    const absolute = path.join(workspace.repo.root, out.path, inside)
    throw new CairnError(
      'COMMAND_FAILED',
      `output '${out.path}/${inside}' does not exist: [Errno 2] No such file or directory: '${absolute}'`,
    )
  }
  const fresh = await entriesInside(workspace, out, inside, options)
  const digest = workspace.cache.storeTree([...others, ...fresh.entries])
  return { digest, size: sizeOf(workspace, others) + fresh.size, nfiles: others.length + fresh.entries.length }
}

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

function sizeOf({ cache }: Workspace, entries: readonly TreeEntry[]): number {
  let size = 0
  for (const { digest, path: file } of entries) {
    const stat = cache.soundStat(digest)
    if (!stat)
      throw new CairnError('CACHE_MISSING', `'${file}' is not in the cache, so the folder's size is not known`, {
        hint: 'Fetch it first: cairn fetch',
      })
    size += stat.size
  }
  return size
}
