import { askForMany } from './scale-asking.ts'
import { changeLargeTree } from './scale-tree.ts'
import { uploadAtOnce } from './scale-uploads.ts'
import { addManyFiles } from './scale-files.ts'
import { openCatalog } from './scale-catalog.ts'
import type { World } from './world.ts'

/** What grows with the size of a team: objects in the database, entries of a tree, uploads at once. */
export async function benchScale(world: World): Promise<void> {
  const { options, record } = world
  const { parts, entries, rows, uploads, mib, uploadStop } = options
  const numbers = [entries, rows].map((count) => count.toLocaleString('en'))
  const cut = uploadStop < mib ? `, cut after ${uploadStop}` : ''
  record.title('scale', `${numbers[0]} digests and entries, ${numbers[1]} objects, ${uploads} uploads of ${mib} MiB${cut}`)
  if (parts.has('uploads')) await uploadAtOnce(world)
  if (parts.has('asking') || parts.has('tree')) {
    const catalog = await openCatalog(world)
    if (parts.has('asking')) await askForMany(world, catalog)
    if (parts.has('tree')) await changeLargeTree(world, catalog)
  }
  if (parts.has('files')) await addManyFiles(world)
}
