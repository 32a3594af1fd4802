import { setImmediate } from 'node:timers/promises'

/**
 * Lets signals and progress in between slices of synchronous work: `await pace()` gives way when the slice has lasted long
 * enough, and throws when the signal was aborted.
 */
export function createPace(signal: AbortSignal, sliceMs = 40): () => Promise<void> | undefined {
  let started = performance.now()
  return () => {
    if (performance.now() - started < sliceMs) return undefined
    return setImmediate().then(() => {
      signal.throwIfAborted()
      started = performance.now()
    })
  }
}
