import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Repo } from '../repo/repo.ts'

/** The folder of the person, root-relative; '' is the root. */
export const folderIn = (repo: Repo, cwd: string): string => path.relative(repo.root, cwd).split(path.sep).join('/')

/** A path as the person typed it, root-relative. @throws CairnError FAILED when it lies outside of the repository */
export function rootRelative(repo: Repo, cwd: string, target: string): string {
  const relative = path.relative(repo.root, path.resolve(cwd, target)).split(path.sep).join('/')
  if (relative === '..' || relative.startsWith('../') || path.isAbsolute(relative)) {
    throw new CairnError('FAILED', `'${target}' is outside of the repository`)
  }
  return relative
}
