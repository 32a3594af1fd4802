import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError } from '@cairn/protocol/error'
import { brokenFrame, cancelled, networkError, TransientError } from './http-error.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000
/** A server that asks for more than this is asked again sooner. */
const LONGEST_WISH_MS = 60_000

/** A pause before another try. */
export interface Wait {
  seconds: number
  /** What failed, for a person. */
  reason: string
  /** The server said that it has too much to do; otherwise the line or the server broke. */
  pushedBack: boolean
}

export interface RetryOptions {
  signal: AbortSignal
  /** For messages; without credentials. */
  url: URL
  /** How long failures may follow one another without any progress, asked for after each. */
  patienceSeconds: () => number
  /** When anything last went well, by `performance.now()`. */
  progressAt: () => number
  onWait: (wait: Wait) => void
}

/**
 * Calls `attempt` again, after pauses, while it fails in a way that may pass, and as long as the patience lasts: counted from
 * the first failure, or from the last progress of any other request.
 * @throws CairnError, or what `attempt` throws where that is no failure of the connection
 */
export async function retry<T>(options: RetryOptions, attempt: () => Promise<T>): Promise<T> {
  let firstFailure: number | undefined
  for (let failures = 1; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      if (options.signal.aborted) throw cancelled(options.signal)
      const failure = brokenFrame(error, shown(options.url)) ?? classify(error, options.url)
      if (!(failure instanceof TransientError)) throw failure
      const now = performance.now()
      firstFailure ??= now
      const pause = pauseBefore(failures, failure.retryAfter)
      const deadline = Math.max(firstFailure, options.progressAt()) + options.patienceSeconds() * 1000
      if (now + pause > deadline || failures >= failure.attempts) throw failure.failure
      options.onWait({ seconds: pause / 1000, reason: failure.message, pushedBack: failure.retryAfter !== undefined })
      await pauseFor(pause, options.signal)
    }
  }
}

/** What a failed attempt means: as it is, or in words where the network failed. */
export function classify(error: unknown, url: URL): unknown {
  if (error instanceof TransientError || error instanceof CairnError) return error
  return networkError(error, url.origin) ?? error
}

/** All of the pause is chance, so that clients which failed together do not come back together. */
function pauseBefore(attempt: number, wish: number | undefined): number {
  if (wish !== undefined) return Math.min(wish, LONGEST_WISH_MS) * (1 + Math.random() / 4)
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 16)) * Math.random()
}

async function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(milliseconds, undefined, { signal })
  } catch {
    throw cancelled(signal)
  }
}

export const describeWait = ({ seconds }: Wait): string =>
  `waiting for the server (retry in ${seconds < 1 ? seconds.toFixed(1) : Math.round(seconds)} s)`

/** A url for messages: without credentials and query. */
export const shown = (url: URL): string => `${url.origin}${url.pathname}`
