import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { createPace } from './pace.ts'

/** Above this a copy in one go would keep an interruption waiting. */
export const LARGE_BYTES = 64 << 20
/** What a core keeps close by: with 4 MiB the same copy costs three times as much. */
const PIECE_BYTES = 256 << 10

/**
 * Copies a file to a new one, piece by piece, so that a signal is heard in between; the kernel's own copy cannot be stopped.
 * A failure removes what was written. `mode` is less the umask.
 */
export async function copyLarge(source: string, target: string, mode: number, signal: AbortSignal): Promise<void> {
  const pace = createPace(signal)
  const from = openSync(source, 'r')
  try {
    const to = openSync(target, 'wx', mode)
    try {
      const piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
      for (let read = readSync(from, piece); read > 0; read = readSync(from, piece)) {
        for (let offset = 0; offset < read;) offset += writeSync(to, piece, offset, read - offset)
        const waiting = pace()
        if (waiting) await waiting
      }
    } catch (error) {
      rmSync(target, { force: true })
      throw error
    } finally {
      closeSync(to)
    }
  } finally {
    closeSync(from)
  }
}
