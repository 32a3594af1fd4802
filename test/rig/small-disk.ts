import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'

/** A file system of a few MiB, mounted in a temporary folder. */
export interface SmallDisk {
  dir: string
  /** In bytes. */
  free(): number
  /** Takes all room but `leave` bytes (whole pages). */
  fill(leave?: number): void
  /** Gives back what `fill` took. */
  empty(): void
  grow(mebibytes: number): void
  /** Nothing can be written any more. */
  freeze(): void
  remove(): void
}

/** Why a test cannot mount one; undefined when it can. */
export function whyNoSmallDisk(): string | undefined {
  if (process.platform !== 'linux') return 'mounting a small file system needs Linux'
  if (process.getuid?.() !== 0) return 'mounting a small file system needs root'
  const dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-disk-'))
  const mounted = spawnSync('mount', mountArgs(1, dir)).status === 0
  if (mounted) execFileSync('umount', [dir])
  rmSync(dir, { recursive: true })
  return mounted ? undefined : 'this machine does not allow mounting a tmpfs'
}

export function mountSmallDisk(mebibytes: number): SmallDisk {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-disk-'))
  execFileSync('mount', mountArgs(mebibytes, dir))
  const filler = path.join(dir, '.filler')
  const free = () => {
    const { bavail, bsize } = statfsSync(dir)
    return bavail * bsize
  }
  return {
    dir,
    free,
    fill: (leave = 0) => writeFiller(filler, () => free() - leave),
    empty: () => rmSync(filler, { force: true }),
    grow: (size) => execFileSync('mount', ['-o', `remount,size=${size}m`, dir]),
    freeze: () => execFileSync('mount', ['-o', 'remount,ro', dir]),
    remove() {
      execFileSync('umount', ['--lazy', dir])
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

const mountArgs = (mebibytes: number, dir: string) => ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0755`, 'tmpfs', dir]

function writeFiller(file: string, room: () => number): void {
  const out = openSync(file, 'a')
  try {
    for (let left = room(); left > 0; left = room()) writeSync(out, Buffer.alloc(Math.min(left, 1 << 20)))
  } catch (error) {
    if (!isCode(error, 'ENOSPC')) throw error
  } finally {
    closeSync(out)
  }
}
