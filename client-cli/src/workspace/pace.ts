import { setImmediate } from 'node:timers/promises'

/**
 * Lets signals and progress in between slices of synchronous work: `await pace()` gives way when the slice has lasted long
 * enough, and throws when the signal was aborted.
 */
export function createPace(signal: AbortSignal, sliceMs = 40): () => Promise<void> | undefined {
  // The wall clock, whose jump costs one slice at most: the finer clock takes a millisecond to load.
  let started = Date.now()
  return () => {
    const lasted = Date.now() - started
    if (lasted >= 0 && lasted < sliceMs) return undefined
    return setImmediate().then(() => {
      signal.throwIfAborted()
      started = Date.now()
    })
  }
}
