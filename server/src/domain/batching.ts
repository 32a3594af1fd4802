/**
 * Lets those who wait share one run. A member that finds a lane free starts at once, with what came in the same turn of the
 * event loop; while all lanes are busy the members gather, and the next run takes them together. So a lone member never
 * waits, and under load the batches grow by themselves.
 *
 * Clients that wait for an answer before they send more would fall into two halves that take turns, each half as large as it
 * could be. With `patience` a free lane waits a moment for as many as were there lately, if they were more than one.
 */
export interface Batching<T, R> {
  /** Resolves with the member's own result. Rejects when the run as a whole failed, or with what the run gave for this member alone. */
  add(member: T): Promise<R>
}

export interface BatchingOptions<T, R> {
  /** Runs under way at once. */
  lanes: number
  /** Members of one run, at most. */
  members: number
  /** What one run may weigh, if members differ; one that is heavier alone runs alone. */
  weight?: { of: (member: T) => number; most: number }
  /** The longest that a free lane waits for more, in ms; never longer than half of what the last run took. */
  patience?: number
  /** One result or `Refused` for each member, in order. When it rejects, every member of the batch does. */
  run: (batch: readonly T[]) => Promise<ReadonlyArray<R | Refused>>
}

/** What a run gives for a member that fails by itself. */
export class Refused {
  readonly reason: unknown

  constructor(reason: unknown) {
    this.reason = reason
  }
}

interface Waiting<T, R> {
  member: T
  resolve: (result: R) => void
  reject: (reason: unknown) => void
}

export function createBatching<T, R>(options: BatchingOptions<T, R>): Batching<T, R> {
  const { lanes, members, weight, patience = 0, run } = options
  const line: Array<Waiting<T, R>> = []
  let busy = 0
  let woken = false
  let waiting: NodeJS.Timeout | undefined
  let inside = 0
  let lately = 1
  let runMilliseconds = 0

  const wake = () => {
    if (woken || busy >= lanes || line.length === 0) return
    woken = true
    setImmediate(() => {
      woken = false
      if (busy < lanes && line.length > 0 && !awaitsMore()) start()
    })
  }

  const awaitsMore = (): boolean => {
    const longest = Math.min(patience, runMilliseconds / 2)
    if (longest < 1 || inside >= lately || line.length >= members) return false
    waiting ??= setTimeout(start, longest)
    return true
  }

  const start = () => {
    clearTimeout(waiting)
    waiting = undefined
    while (busy < lanes && line.length > 0) void runOne(takeBatch())
  }

  const takeBatch = (): Array<Waiting<T, R>> => {
    let count = 0
    for (let sum = 0; count < line.length && count < members; count++) {
      const next = line[count]
      if (weight && next) sum += weight.of(next.member)
      if (count > 0 && weight && sum > weight.most) break
    }
    return line.splice(0, count)
  }

  const runOne = async (batch: ReadonlyArray<Waiting<T, R>>): Promise<void> => {
    busy++
    const began = performance.now()
    try {
      const results = await run(batch.map(({ member }) => member))
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index] as R | Refused
        if (result instanceof Refused) reject(result.reason)
        else resolve(result)
      }
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      busy--
      runMilliseconds = performance.now() - began
      lately = Math.max(inside, lately * 0.75)
      inside -= batch.length
      wake()
    }
  }

  return {
    add: (member) =>
      new Promise((resolve, reject) => {
        line.push({ member, resolve, reject })
        inside++
        wake()
      }),
  }
}
