import { isCode } from '@cairn/protocol/error'
import { closeSync, constants, copyFileSync, fstatSync, openSync, readSync, writeSync, type Stats } from 'node:fs'

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

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL

let scratch: Buffer | undefined

/**
 * Reads a whole file when it has at most `limit` bytes; undefined when it has more. `size`, when it is known, spares opening
 * a large one. The bytes stand in one buffer for all: they hold until the next call.
 */
export function readSmall(file: string, { limit = SMALL_BYTES, size = 0 } = {}): Buffer | undefined {
  if (size > limit) return undefined
  // One byte more tells that there are more.
  if (!scratch || scratch.length <= limit) scratch = Buffer.allocUnsafeSlow(limit + 1)
  const fd = openSync(file, 'r')
  try {
    for (let length = 0; length <= limit;) {
      const wanted = limit + 1 - length
      const read = readSync(fd, scratch, length, wanted, null)
      length += read
      // A file gives less than it was asked for at its end only.
      if (length <= limit && read < wanted) return scratch.subarray(0, length)
    }
    return undefined
  } finally {
    closeSync(fd)
  }
}

/** Creates a file. Returns its stat. */
export function writeNew(file: string, bytes: Uint8Array, mode: number): Stats {
  const fd = openSync(file, CREATE, mode)
  try {
    for (let offset = 0; offset < bytes.length;) offset += writeSync(fd, bytes, offset, bytes.length - offset)
    return fstatSync(fd)
  } finally {
    closeSync(fd)
  }
}
