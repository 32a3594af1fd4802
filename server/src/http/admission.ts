import { CairnError } from '@cairn/protocol/error'

/** Keeps the bodies in flight within bounds. */
export interface Admission {
  /**
   * Resolves with a release, to be called once. A native client is told to come back (OVERLOADED); a stock one, to which
   * every error means "missing", waits its turn in line.
   * @throws CairnError OVERLOADED
   */
  enter(bytes: number, options: { wait: boolean; signal: AbortSignal }): Promise<() => void>
  readonly requests: number
  readonly bytes: number
}

/** A stock client gives up after 60 s without an answer. */
const WAIT_MILLISECONDS = 45_000
const MAX_WAITING = 2000

interface Waiting {
  bytes: number
  start: () => void
}

export function createAdmission(limits: { requestsInFlight: number; bytesInFlight: number }): Admission {
  let requests = 0
  let inFlight = 0
  const line: Waiting[] = []

  // One that is larger than the bound runs alone instead of never.
  const fits = (bytes: number) =>
    requests === 0 || (requests < limits.requestsInFlight && inFlight + bytes <= limits.bytesInFlight)
  const admit = (bytes: number): (() => void) => {
    requests++
    inFlight += bytes
    let released = false
    return () => {
      if (released) return
      released = true
      requests--
      inFlight -= bytes
      for (let next = line[0]; next && fits(next.bytes); next = line[0]) {
        line.shift()
        next.start()
      }
    }
  }

  return {
    async enter(bytes, { wait, signal }) {
      if (line.length === 0 && fits(bytes)) return admit(bytes)
      if (!wait || line.length >= MAX_WAITING) throw overloaded()
      return new Promise((resolve, reject) => {
        const leave = (reason: unknown) => {
          clearTimeout(timer)
          signal.removeEventListener('abort', onAbort)
          const at = line.indexOf(waiting)
          if (at >= 0) line.splice(at, 1)
          reject(reason instanceof Error ? reason : new Error('aborted'))
        }
        const onAbort = () => leave(signal.reason)
        const waiting: Waiting = {
          bytes,
          start() {
            clearTimeout(timer)
            signal.removeEventListener('abort', onAbort)
            resolve(admit(bytes))
          },
        }
        const timer = setTimeout(() => leave(overloaded()), WAIT_MILLISECONDS)
        signal.addEventListener('abort', onAbort)
        line.push(waiting)
      })
    },
    get requests() {
      return requests
    },
    get bytes() {
      return inFlight
    },
  }
}

function overloaded(): CairnError {
  return new CairnError('OVERLOADED', 'the server has as many requests in hand as it can hold', {
    hint: 'Try again in a few seconds.',
  })
}
