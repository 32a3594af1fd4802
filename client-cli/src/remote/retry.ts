import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError } from '@cairn/protocol/error'
import { brokenFrame, cancelled, networkError, TransientError } from './http-error.ts'

const MAX_ATTEMPTS = 12
/** A frame that is broken each time was made so. */
const FRAME_ATTEMPTS = 3
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000
const LONGEST_WISH_MS = 30_000

export interface RetryOptions {
  signal: AbortSignal
  /** For messages; without credentials. */
  url: URL
  /** How long failures may follow one another, asked for after each. */
  patienceSeconds: () => number
}

/**
 * Calls `attempt` again, after growing pauses, while it fails in a way that may pass.
 * @throws CairnError, or what `attempt` throws where that is no failure of the connection
 */
export async function retry<T>(options: RetryOptions, attempt: () => Promise<T>): Promise<T> {
  let firstFailure: number | undefined
  for (let failures = 1; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      if (options.signal.aborted) throw cancelled(options.signal)
      const frame = brokenFrame(error, shown(options.url))
      const failure = frame ?? classify(error, options.url)
      if (!(failure instanceof TransientError)) throw failure
      firstFailure ??= Date.now()
      const pause = pauseBefore(failures, failure.retryAfter)
      const late = Date.now() + pause - firstFailure > options.patienceSeconds() * 1000
      if (late || failures >= (frame ? FRAME_ATTEMPTS : MAX_ATTEMPTS)) throw failure.failure
      await pauseFor(pause, options.signal)
    }
  }
}

/** What a failed attempt means: as it is, or in words where the network failed. */
export function classify(error: unknown, url: URL): unknown {
  if (error instanceof TransientError || error instanceof CairnError) return error
  return networkError(error, url.origin) ?? error
}

/** Half of the pause is chance, so that clients which failed together do not come back together. */
function pauseBefore(attempt: number, wish: number | undefined): number {
  if (wish !== undefined) return Math.min(wish, LONGEST_WISH_MS) * (1 + Math.random() / 4)
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2)
}

async function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(milliseconds, undefined, { signal })
  } catch {
    throw cancelled(signal)
  }
}

/** A url for messages: without credentials and query. */
export const shown = (url: URL): string => `${url.origin}${url.pathname}`
