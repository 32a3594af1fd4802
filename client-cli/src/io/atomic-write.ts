import { closeSync, fsyncSync, lstatSync, openSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import { explainFull } from './full-disk.ts'

let serial = 0

/**
 * Replaces a file as a whole: a reader sees the old bytes or the new ones, also after a crash. A symlink stays, its target
 * is replaced. `mode` defaults to the replaced file's, else 0666 less the umask. Throws what the file system throws,
 * a full disk as CairnError STORAGE_FULL.
 */
export function writeFileAtomic(
  file: string,
  bytes: string | Uint8Array | readonly Uint8Array[],
  options: { mode?: number; fsync?: boolean } = {},
): void {
  const target = followLink(file)
  const mode = options.mode ?? existingMode(target)
  const draft = path.join(path.dirname(target), `.${path.basename(target).slice(0, 100)}.${process.pid}.${serial++}.tmp`)
  try {
    const fd = openSync(draft, 'wx', mode ?? 0o666)
    try {
      for (const piece of isList(bytes) ? bytes : [bytes]) writeFileSync(fd, piece)
      if (options.fsync) fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft, { force: true })
    throw explainFull(error, file)
  }
}

const isList = (bytes: string | Uint8Array | readonly Uint8Array[]): bytes is readonly Uint8Array[] => Array.isArray(bytes)

function followLink(file: string): string {
  try {
    return lstatSync(file).isSymbolicLink() ? realpathSync(file) : file
  } catch (error) {
    if (isCode(error, 'ENOENT')) return file
    throw error
  }
}

function existingMode(file: string): number | undefined {
  const stat = lstatSync(file, { throwIfNoEntry: false })
  return stat?.isFile() ? stat.mode & 0o777 : undefined
}
