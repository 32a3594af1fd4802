import type { BlobStore } from '../../domain/ports/blob-store.ts'

export interface BlobLimits {
  /** How many streams of `get` may be open at once. */
  reads: number
  /** How many `put`s may run at once. */
  writes: number
  /** How many parts may come in at once; they hold less in memory than a `put` may. Default: as `writes`. */
  parts?: number
}

/**
 * Bounds what is open at once; whoever comes later waits in line. Reads and writes are counted apart, so that one who
 * copies from blob to blob cannot wait for itself.
 */
export function withLimit(store: BlobStore, limits: BlobLimits): BlobStore {
  const reads = createSlots(limits.reads)
  const writes = createSlots(limits.writes)
  const parts = createSlots(limits.parts ?? limits.writes)

  return {
    ...store,

    async put(key, bytes, options) {
      const release = await writes.take(options.signal)
      try {
        return await store.put(key, bytes, options)
      } finally {
        release()
      }
    },

    async putPart(draft, number, bytes, options) {
      const release = await parts.take(options.signal)
      try {
        return await store.putPart(draft, number, bytes, options)
      } finally {
        release()
      }
    },

    async get(key, options) {
      const release = await reads.take(options.signal)
      try {
        const stream = await store.get(key, options)
        if (stream.closed) release()
        else stream.once('close', release)
        return stream
      } catch (error) {
        release()
        throw error
      }
    },
  }
}

interface Slots {
  /** Resolves with the function that gives the slot back (more than once is once); rejects when the signal aborts first. */
  take(signal: AbortSignal): Promise<() => void>
}

function createSlots(count: number): Slots {
  let free = count
  const line = new Set<() => void>()

  const takeOne = (): (() => void) => {
    let held = true
    return () => {
      if (!held) return
      held = false
      const [first] = line
      if (first) first()
      else free++
    }
  }

  return {
    async take(signal) {
      signal.throwIfAborted()
      if (free > 0) {
        free--
        return takeOne()
      }
      return await new Promise((resolve, reject) => {
        const leave = (): void => {
          line.delete(enter)
          reject(signal.reason as Error)
        }
        const enter = (): void => {
          line.delete(enter)
          signal.removeEventListener('abort', leave)
          resolve(takeOne())
        }
        line.add(enter)
        signal.addEventListener('abort', leave, { once: true })
      })
    },
  }
}
