import { isCode } from '@cairn/protocol/error'
import { closeSync, lstatSync, openSync, statSync, unlinkSync, writeSync, type Stats } from 'node:fs'
import path from 'node:path'
import { isUnwritable } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'

/**
 * What tells one state of a file from another. Milliseconds keep about 0.2 µs of the file system's nanoseconds, at a third
 * of the price of big integers.
 */
export interface FileStat {
  mtimeMs: number
  ctimeMs: number
  size: number
  ino: number
}

export const sameStat = (a: FileStat, b: FileStat): boolean =>
  a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs && a.size === b.size && a.ino === b.ino

/** lstat without an exception for what is not there. */
export function lstatOrNone(file: string): Stats | undefined {
  return tolerant(() => lstatSync(file, { throwIfNoEntry: false }))
}

export function statOrNone(file: string): Stats | undefined {
  return tolerant(() => statSync(file, { throwIfNoEntry: false }))
}

function tolerant(read: () => Stats | undefined): Stats | undefined {
  try {
    return read()
  } catch (error) {
    // A parent that is a file: nothing can stand below it.
    if (isCode(error, 'ENOTDIR')) return undefined
    throw error
  }
}

/**
 * Whether a stat can vouch for bytes. A change inside the same tick of the file system's clock leaves the stat as it was, so
 * a file that was touched less than a tick before its bytes were read proves nothing later.
 */
export interface Timestamps {
  /** Every change after a stat gets a new timestamp (Linux 6.13 and later on its main file systems). */
  readonly fine: boolean
  /** True when `stat`, taken before the bytes were read at `readAt` (Date.now()), may be recorded as the mark of those bytes. */
  settled(stat: Pick<FileStat, 'mtimeMs' | 'ctimeMs'>, dev: number, readAt: number): boolean
}

const TICK_MS = 20
/** FAT counts mtime in steps of 2 s, HFS+ and old NFS in whole seconds. */
const COARSE_TICK_MS = 2_050

const NEVER: Timestamps = { fine: false, settled: () => false }

/** Tries the file system below `dir` with one small file. Where nothing can be written, nothing is ever settled. */
export function probeTimestamps(dir: string): Timestamps {
  try {
    makeFolders(dir)
    return tryTimestamps(dir)
  } catch (error) {
    if (isUnwritable(error)) return NEVER
    throw error
  }
}

function tryTimestamps(dir: string): Timestamps {
  const probe = path.join(dir, `clock-${process.pid}`)
  const started = performance.now()
  const fd = openSync(probe, 'w', 0o600)
  const seen: Stats[] = []
  try {
    for (let round = 0; round < 4; round++) {
      writeSync(fd, 'x')
      seen.push(lstatSync(probe))
    }
  } finally {
    closeSync(fd)
    unlinkSync(probe)
  }
  const [first] = seen
  if (!first) return NEVER
  const quick = performance.now() - started < 2
  const fine = quick && seen.every((stat, round) => round === 0 || stat.ctimeMs > (seen[round - 1]?.ctimeMs ?? 0))
  // A server whose clock is behind ours makes new files look old.
  const skew = Math.max(0, Date.now() - first.mtimeMs)
  return {
    fine,
    settled(stat, dev, readAt) {
      if (fine && dev === first.dev) return true
      const coarse = stat.mtimeMs % 1_000 === 0 || dev !== first.dev
      return Math.max(stat.mtimeMs, stat.ctimeMs) < readAt - skew - (coarse ? COARSE_TICK_MS : TICK_MS)
    },
  }
}
