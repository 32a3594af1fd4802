import type pg from 'pg'
import type { JobHandler, JobQueue, JobType } from '../../domain/ports/job-queue.ts'
import { listen, pause } from '../postgres/listen.ts'
import { CHANNEL, createJobTable, type JobTable } from './job-table.ts'
import { growingPause, runJob, type RunJobOptions } from './run-job.ts'

export interface JobsOptions {
  /** For the connection that listens: it is none of the pool's. */
  poolConfig: pg.ClientConfig
  /** How long a silent worker keeps its job. */
  leaseSeconds?: number
  retrySeconds?: (attempt: number) => number
  /** The longest time between two looks at the table, when nothing rings. */
  pollSeconds?: number
  log?: (line: string) => void
}

const HOUR_MS = 3_600_000

/** Jobs carried by their own table: `for update skip locked` gives them out, and a notification wakes who waits. */
export function createPostgresJobs(pool: pg.Pool, options: JobsOptions): JobQueue {
  const table = createJobTable(pool)
  return {
    enqueue: async (type, job = {}) => (await table.add(type, job)).id,
    run: (handlers, { concurrency, signal }) => run(table, handlers, concurrency, withDefaults(options, signal)),
    find: table.find,
    list: table.list,
    close: async () => undefined,
  }
}

export type Settled = RunJobOptions & { poolConfig: pg.ClientConfig; pollMs: number }

export function withDefaults(options: JobsOptions, signal: AbortSignal): Settled {
  return {
    signal,
    poolConfig: options.poolConfig,
    leaseSeconds: options.leaseSeconds ?? 30,
    retrySeconds: options.retrySeconds ?? growingPause,
    pollMs: (options.pollSeconds ?? 5) * 1000,
    log: options.log ?? ((): void => undefined),
  }
}

type Handlers = Readonly<Record<JobType, JobHandler>>

async function run(table: JobTable, handlers: Handlers, concurrency: number, options: Settled): Promise<void> {
  const { signal } = options
  const types = Object.keys(handlers)
  const inHand = new Set<Promise<void>>()
  const bell = createBell()
  const listening = listen(options.poolConfig, CHANNEL, { signal, onMessage: bell.ring, onListening: async () => bell.ring() })
  const keepHouse = createHousekeeping(table)
  while (!signal.aborted) {
    // Taken before the look: what rings between the look and the wait is not missed.
    const rung = bell.next()
    let waitMs = options.pollMs
    try {
      await keepHouse()
      const free = concurrency - inHand.size
      const claims = free > 0 ? await table.claim(types, free, options.leaseSeconds) : []
      for (const claim of claims) {
        const running = runJob(table, claim, handlers[claim.job.type], options).finally(() => inHand.delete(running))
        inHand.add(running)
      }
      if (claims.length < free) waitMs = Math.min(waitMs, Math.max(0, (await table.nextDue(types)) ?? waitMs))
    } catch (error) {
      options.log(`jobs: ${error instanceof Error ? error.message : String(error)}`)
    }
    await waitFor(inHand.size >= concurrency ? [...inHand] : [rung], waitMs, signal)
  }
  await Promise.all([...inHand, listening])
}

/** What any worker does for all before it looks: gives back what dead workers held and, once an hour, forgets the old. */
export function createHousekeeping(table: JobTable): () => Promise<void> {
  let forgot = 0
  return async () => {
    await table.takeOver()
    if (Date.now() - forgot < HOUR_MS) return
    await table.forgetOld()
    forgot = Date.now()
  }
}

/** Waits for one of the promises, the time, or the signal, and leaves no timer behind. */
async function waitFor(promises: readonly Promise<void>[], milliseconds: number, signal: AbortSignal): Promise<void> {
  const over = new AbortController()
  await Promise.race([...promises, pause(milliseconds, AbortSignal.any([signal, over.signal]))])
  over.abort()
}

/** `next` resolves at the first `ring` after it was called. */
function createBell(): { ring: () => void; next: () => Promise<void> } {
  let waiting = Promise.withResolvers<void>()
  return {
    ring: () => {
      waiting.resolve()
      waiting = Promise.withResolvers<void>()
    },
    next: () => waiting.promise,
  }
}
