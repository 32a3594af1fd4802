import path from 'node:path'
import type { Timestamps } from '../cache/file-stat.ts'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { StatCache, StatKey } from '../cache/stat-cache.ts'
import type { Report } from '../report/event.ts'
import type { Ignore } from '../repo/ignore.ts'
import type { Repo } from '../repo/repo.ts'
import type { LinksRecord } from './links-record.ts'
import type { SingleFiles } from './single-files.ts'

/** What every operation on the workspace works with. */
export interface Desk {
  repo: Repo
  cache: ObjectCache
  tables: StatCache
  singles: SingleFiles
  links: LinksRecord
  /** Probes the file system when first asked. */
  timestamps(): Timestamps
  signal: AbortSignal
  report: Report
}

export const absolutePath = (desk: Desk, file: string): string => path.resolve(desk.repo.root, file)

/** `.dvcignore` speaks about what lies inside of the repository; a dependency may be an ignored folder, and then all of it counts. */
export function ignoreFor(desk: Desk, folder: string): Ignore | undefined {
  const outside = path.isAbsolute(folder) || folder.startsWith('..')
  return outside || (folder !== '' && desk.repo.ignore.ignores(folder, true)) ? undefined : desk.repo.ignore
}

/** The folder at `path` has the inode `ino`. */
export const keyOf = (path: string, legacy: boolean, ino: number): StatKey => ({ path, legacy, folder: ino })

/** Root-relative with `/`, '' for the root; absolute for what lies outside. */
export function workspacePath(desk: Desk, file: string): string {
  const relative = path.relative(desk.repo.root, absolutePath(desk, file))
  const inside = relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative)
  return inside ? relative.split(path.sep).join('/') : absolutePath(desk, file)
}
