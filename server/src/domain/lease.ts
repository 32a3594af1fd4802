import { CairnError } from '@cairn/protocol/error'

export interface Lease {
  /** Aborts when `outer` does, and when the lease may have been lost to somebody else. */
  signal: AbortSignal
  end(): void
}

/**
 * How long a lease holds without news: what a killed server held is free again after it. A database whose disk is busy may
 * need some of it to renew one.
 */
export const LEASE_SECONDS = 20
const RENEW_MS = 3000
/** Work on what was leased ends before anybody else can begin: by our own clock, and early. */
const SURE_MS = 16_000

/** Renews a lease, asked for at `askedAt` (performance.now()), until it is ended. `renew` resolves with false when it was lost. */
export function keepLease(renew: () => Promise<boolean>, outer: AbortSignal, askedAt: number): Lease {
  const lost = new AbortController()
  const lose = () => lost.abort(new CairnError('UPLOAD_BUSY', 'somebody else took over', { hint: 'Try again.' }))
  const sureFrom = (asked: number) => setTimeout(lose, Math.max(0, asked + SURE_MS - performance.now()))
  let deadline = sureFrom(askedAt)
  let ended = false
  const timer = setInterval(() => {
    const asked = performance.now()
    renew().then(
      (held) => {
        if (ended) return
        if (!held) return lose()
        clearTimeout(deadline)
        deadline = sureFrom(asked)
      },
      // The database is away for a moment; the deadline stands.
      () => undefined,
    )
  }, RENEW_MS)
  return {
    signal: AbortSignal.any([outer, lost.signal]),
    end() {
      ended = true
      clearInterval(timer)
      clearTimeout(deadline)
    },
  }
}
