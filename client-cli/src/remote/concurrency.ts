/**
 * How many bodies are worth having on the way at once. Pure: it is told what happened and says a number.
 *
 * It climbs by one while that moves more bytes a second, steps back when a step did not pay, and halves when the server
 * pushes back. A round lasts until as many bodies have arrived as were allowed in it.
 */
export interface Concurrency {
  readonly limit: number
  /** A body arrived. `at` in milliseconds, never decreasing. */
  arrived(bytes: number, at: number): void
  /** The server said that it has too much to do. Several in one round are one. */
  pushedBack(at: number): void
}

export interface ConcurrencyOptions {
  start: number
  /** Never more than this. */
  most: number
}

/** A step has to bring this much, or it was for nothing. */
const WORTH = 1.05
/** Rounds without a step, after one that did not pay. The line may be another by then. */
const REST = 8

export function createConcurrency({ start, most }: ConcurrencyOptions): Concurrency {
  const highest = Math.max(1, Math.floor(most))
  let limit = Math.min(highest, Math.max(1, Math.floor(start)))
  let round = { bodies: 0, bytes: 0, from: undefined as number | undefined, pushedBack: false }
  /** Bytes a millisecond before the last step up; undefined when there was none to judge. */
  let before: number | undefined
  let rest = 0
  const open = (from: number) => (round = { bodies: 0, bytes: 0, from, pushedBack: false })

  const judge = (rate: number) => {
    if (before !== undefined && rate < before * WORTH) {
      limit = Math.max(1, limit - 1)
      before = undefined
      rest = REST
    } else if (rest > 0) rest--
    else if (limit < highest) {
      before = rate
      limit++
    } else before = undefined
  }

  return {
    get limit() {
      return limit
    },
    arrived(bytes, at) {
      // The first body only tells when measuring starts: connections and slow start are behind it.
      if (round.from === undefined) return void open(at)
      round.bodies++
      round.bytes += bytes
      if (round.bodies < limit) return
      if (!round.pushedBack && at > round.from) judge(round.bytes / (at - round.from))
      open(at)
    },
    pushedBack(at) {
      if (round.pushedBack) return
      limit = Math.max(1, Math.floor(limit / 2))
      before = undefined
      rest = REST
      open(at)
      round.pushedBack = true
    },
  }
}

/** Always the same number: what a person asked for. */
export const fixedConcurrency = (limit: number): Concurrency => ({
  limit: Math.max(1, Math.floor(limit)),
  arrived: () => undefined,
  pushedBack: () => undefined,
})

/** More at once than this never paid, to one server. */
const MOST_BODIES = 16

/** Starts with what the server says, unless a person said something. */
export const bodiesAtOnce = (limits: { parallel: number }, jobs: number | undefined): Concurrency =>
  jobs === undefined ? createConcurrency({ start: limits.parallel, most: MOST_BODIES }) : fixedConcurrency(jobs)
