import { setTimeout as sleep } from 'node:timers/promises'
import type { Meter } from './verify-stream.ts'

/** What is known of an upload's bytes from its start up to some part. */
export interface Hashed {
  /** The number of parts that were hashed. */
  parts: number
  meter: Meter
}

/** The right to hash one part, while its bytes pass. It has to be ended or cancelled; the first of these calls counts. */
export interface HashTurn {
  /** Resolves when the next may come. */
  update(chunk: Uint8Array): Promise<void>
  /** All bytes of the part were seen. */
  end(): void
  /** The part broke off: what was seen of it does not count. */
  cancel(): void
}

/**
 * Hashes of uploads whose parts arrive in order, kept between the parts in this process, so that nothing has to be read
 * again at the end. Only a shortcut: what is not here is hashed from what was stored.
 */
export interface RunningHashes {
  /** Waits a while for the parts before. undefined: the part is to be stored unhashed. */
  takeTurn(uploadId: string, number: number, signal: AbortSignal): Promise<HashTurn | undefined>
  find(uploadId: string): Hashed | undefined
  /** For when a part that was hashed could not be kept, and when the upload is over. */
  drop(uploadId: string): void
}

interface Running extends Hashed {
  /** A part is being hashed. */
  busy: boolean
  waiting: Set<() => void>
}

const MOST_UPLOADS = 1024
/** For a part in front whose bytes are on their way. */
const LONG_WAIT_MS = 20_000
/** For a part in front of which nothing was seen yet: requests overtake each other. */
const SHORT_WAIT_MS = 1000

export function createRunningHashes(createMeter: () => Meter): RunningHashes {
  const uploads = new Map<string, Running>()

  const wake = (running: Running) => {
    for (const resume of running.waiting) resume()
  }
  const drop = (uploadId: string) => {
    const running = uploads.get(uploadId)
    if (!running) return
    uploads.delete(uploadId)
    running.meter.close()
    wake(running)
  }
  const find = (uploadId: string, number: number): Running | undefined => {
    const known = uploads.get(uploadId)
    // Moved to the end: the one unused for longest is the first.
    if (known) uploads.delete(uploadId)
    const running = known ?? (number === 0 ? { parts: 0, meter: createMeter(), busy: false, waiting: new Set() } : undefined)
    if (running) uploads.set(uploadId, running)
    const oldest = uploads.keys().next()
    if (uploads.size > MOST_UPLOADS && oldest.value !== undefined) drop(oldest.value)
    return running
  }

  const begin = (uploadId: string, running: Running): HashTurn => {
    const meter = running.meter.copy()
    running.busy = true
    let over = false
    const leave = (hashed: boolean) => {
      if (over) return
      over = true
      running.busy = false
      const before = running.meter
      if (hashed) {
        running.meter = meter
        running.parts++
      }
      // Of a dropped upload nothing is asked any more.
      const standing = uploads.get(uploadId) === running
      if (!hashed || !standing) meter.close()
      if (hashed && standing) before.close()
      wake(running)
    }
    return {
      async update(chunk) {
        try {
          await meter.update(chunk)
        } catch (error) {
          // One that failed once fails always: the part that is sent next is stored unhashed.
          if (uploads.get(uploadId) === running) drop(uploadId)
          throw error
        }
      },
      end: () => leave(true),
      cancel: () => leave(false),
    }
  }

  return {
    async takeTurn(uploadId, number, signal) {
      const running = find(uploadId, number)
      const arrived = performance.now()
      for (;;) {
        if (!running || uploads.get(uploadId) !== running || number < running.parts) return undefined
        if (number === running.parts && !running.busy) return begin(uploadId, running)
        const left = arrived + (running.busy ? LONG_WAIT_MS : SHORT_WAIT_MS) - performance.now()
        if (left <= 0) return undefined
        await change(running, left, signal)
      }
    },
    find: (uploadId) => uploads.get(uploadId),
    drop,
  }
}

/** Resolves when something about the upload has changed, or the time is over. */
async function change(running: Running, milliseconds: number, signal: AbortSignal): Promise<void> {
  const changed = new AbortController()
  const resume = () => changed.abort()
  running.waiting.add(resume)
  await sleep(milliseconds, undefined, { signal: AbortSignal.any([changed.signal, signal]) }).catch(() => undefined)
  running.waiting.delete(resume)
  signal.throwIfAborted()
}
