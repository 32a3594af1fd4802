import { createRequire } from 'node:module'
import type * as Bullmq from 'bullmq'
import type pg from 'pg'
import type { JobHandler, JobQueue, JobType } from '../../domain/ports/job-queue.ts'
import { pause } from '../postgres/listen.ts'
import { createJobTable, type JobTable, type Waiting } from './job-table.ts'
import { createHousekeeping, withDefaults, type JobsOptions, type Settled } from './postgres-jobs.ts'
import { runJob } from './run-job.ts'

export interface BullmqJobsOptions extends JobsOptions {
  redisUrl: string
  /** The queue's name in Redis. */
  name?: string
}

interface Carried {
  id: string
}

/** How long adding a job waits for Redis before it leaves the job to the relay. */
const CARRY_PATIENCE_MS = 2_000

/**
 * Jobs carried by BullMQ. The row in `job` stays the record: Redis carries ids only, claiming the row decides who runs, and a
 * relay in every runner hands over again what Redis never got, lost, or what a dead worker held. So a job survives the loss of
 * all of Redis, and one that is carried twice runs once.
 */
export function createBullmqJobs(pool: pg.Pool, options: BullmqJobsOptions): JobQueue {
  const table = createJobTable(pool)
  const log = options.log ?? ((): void => undefined)
  // Loaded at first use and by `require`: the package finds its Redis client by `require`, which its ES modules do not have.
  const bullmq = createRequire(import.meta.url)('bullmq') as typeof Bullmq
  const name = options.name ?? 'cairn'
  const connection = { url: options.redisUrl, maxRetriesPerRequest: null }
  const queue = new bullmq.Queue<Carried>(name, { connection })
  queue.on('error', (error) => log(`redis: ${error.message}`))
  const carry = (jobs: readonly Waiting[]): Promise<void> => carryJobs(queue, table, jobs, log)
  return {
    enqueue: async (type, job = {}) => {
      const { id, added } = await table.add(type, job)
      if (added) await carry([added])
      return id
    },
    run: async (handlers, { concurrency, signal }) => {
      const settled = withDefaults(options, signal)
      const worker = new bullmq.Worker<Carried>(name, ({ data: { id } }) => runCarried(table, id, handlers, settled), {
        connection,
        concurrency,
      })
      worker.on('error', (error) => log(`redis: ${error.message}`))
      await relay(table, carry, settled)
      await worker.close()
    },
    find: table.find,
    list: table.list,
    close: () => queue.close(),
  }
}

async function runCarried(
  table: JobTable,
  id: string,
  handlers: Readonly<Record<JobType, JobHandler>>,
  options: Settled,
): Promise<void> {
  // Fetched while stopping: without this the relay would wait a minute for it.
  if (options.signal.aborted) return table.markUncarried([id])
  const claim = await table.claimOne(id, options.leaseSeconds)
  if (claim) await runJob(table, claim, handlers[claim.job.type], options)
}

async function relay(
  table: JobTable,
  carry: (jobs: readonly Waiting[]) => Promise<void>,
  { signal, pollMs, log }: Settled,
): Promise<void> {
  const keepHouse = createHousekeeping(table)
  while (!signal.aborted) {
    try {
      await keepHouse()
      await carry(await table.findUncarried(1000))
    } catch (error) {
      log(`jobs: ${error instanceof Error ? error.message : String(error)}`)
    }
    await pause(pollMs, signal)
  }
}

/** Hands jobs to Redis; one that does not answer in time is no failure, since the rows stay and the relay comes back to them. */
async function carryJobs(
  queue: Bullmq.Queue<Carried>,
  table: JobTable,
  jobs: readonly Waiting[],
  log: (line: string) => void,
): Promise<void> {
  if (jobs.length === 0) return
  const ids = jobs.map((job) => job.id)
  // Before Redis has them: a job may run, fail and wait for its next turn before this line would be reached again.
  await table.markCarried(ids)
  const adding = queue.addBulk(
    jobs.map(({ id, type, runAt }) => ({
      name: type,
      data: { id },
      opts: {
        // The same turn of the same job is carried once, a later turn anew.
        jobId: `${id}-${runAt.getTime()}`,
        delay: Math.max(0, runAt.getTime() - Date.now()),
        removeOnComplete: true,
        removeOnFail: true,
      },
    })),
  )
  const late = new AbortController()
  const carried = await Promise.race([
    adding.then(() => true).catch((error: unknown) => log(`redis: ${String(error)}`)),
    pause(CARRY_PATIENCE_MS, late.signal),
  ])
  late.abort()
  if (carried !== true) await table.markUncarried(ids)
}
