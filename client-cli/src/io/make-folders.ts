import { mkdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'

/**
 * Makes a folder and those above it that are not there. Returns the topmost that was made. Unlike Node's own way it ends where
 * a file system denies that a folder exists in which one is to be made, as /proc does.
 * @throws CairnError COMMAND_FAILED there; else what the file system throws
 */
export function makeFolders(dir: string, mode?: number): string | undefined {
  if (isFolder(dir)) return undefined
  try {
    mkdirSync(dir, mode)
    return dir
  } catch (error) {
    // Somebody else made it meanwhile.
    if (isCode(error, 'EEXIST') && isFolder(dir)) return undefined
    const above = path.dirname(dir)
    if (!isCode(error, 'ENOENT') || above === dir) throw error
    if (isFolder(above)) {
      throw new CairnError('COMMAND_FAILED', `cannot make the folder '${dir}': the file system of '${above}' takes none`, {
        cause: error,
      })
    }
    const first = makeFolders(above, mode)
    return makeFolders(dir, mode) === undefined ? first : (first ?? dir)
  }
}

const isFolder = (dir: string): boolean => statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true
