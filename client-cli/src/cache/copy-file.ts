import { isCode } from '@cairn/protocol/error'
import { closeSync, constants, copyFileSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'

/** Below this, reading and writing beats the kernel's copy: it spares four calls a file. */
const SMALL_BYTES = 256 * 1024

/** Shares the source's blocks with `target` where the file system can. @throws Error ENOTSUP, EXDEV, EINVAL, ENOTTY where it cannot */
export function reflink(source: string, target: string): void {
  copyFileSync(source, target, constants.COPYFILE_FICLONE_FORCE)
}

/** A reflink, or a copy where the file system has none. */
export function tryReflink(source: string, target: string): void {
  copyFileSync(source, target, constants.COPYFILE_FICLONE)
}

export const isNoReflink = (error: unknown): boolean =>
  isCode(error, 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS', 'EPERM')

/** Reads a whole file when it has at most `limit` bytes; undefined when it has more. */
export function readSmall(file: string, limit = SMALL_BYTES): Buffer | undefined {
  const fd = openSync(file, 'r')
  try {
    const { size } = fstatSync(fd)
    if (size > limit) return undefined
    const bytes = Buffer.allocUnsafe(size)
    let length = 0
    while (length < size) {
      const read = readSync(fd, bytes, length, size - length, null)
      if (read === 0) break
      length += read
    }
    return bytes.subarray(0, length)
  } finally {
    closeSync(fd)
  }
}

export function writeNew(file: string, bytes: Uint8Array, mode: number): void {
  const fd = openSync(file, 'wx', mode)
  try {
    for (let offset = 0; offset < bytes.length;) offset += writeSync(fd, bytes, offset)
  } finally {
    closeSync(fd)
  }
}
