import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type pg from 'pg'
import type { JobContext, JobHandler, JobQueue, JobRow, JobType } from '../../server/src/domain/ports/job-queue.ts'

export interface OpenJobs {
  queue: JobQueue
  /** A second worker on the same jobs. */
  second: JobQueue
  /** To be the death of workers, and the time that passes. */
  pool: pg.Pool
  close(): Promise<void>
}

/** The lease that the queues under test are opened with, in seconds; retries come after 50 ms. */
export const TEST_LEASE_SECONDS = 2
export const TEST_OPTIONS = { leaseSeconds: TEST_LEASE_SECONDS, retrySeconds: () => 0.05, pollSeconds: 0.2 }

const refuse: JobHandler = async () => {
  throw new Error('no such job was expected')
}

/** What every job queue does, in the words of the port. */
export function testJobQueue(name: string, open: () => Promise<OpenJobs>): void {
  describe(name, () => {
    let opened: OpenJobs
    let queue: JobQueue
    let runners: Array<{ stop: AbortController; done: Promise<void> }> = []

    beforeAll(async () => {
      opened = await open()
      queue = opened.queue
    })
    afterAll(() => opened?.close())
    beforeEach(() => opened.pool.query('delete from job'))
    afterEach(stopRunners)

    async function stopRunners(): Promise<void> {
      for (const { stop } of runners) stop.abort()
      await Promise.all(runners.map((runner) => runner.done))
      runners = []
    }
    const work = (scrub: JobHandler, options: { on?: JobQueue; concurrency?: number; expire?: JobHandler } = {}): void => {
      const stop = new AbortController()
      const handlers: Record<JobType, JobHandler> = {
        scrub,
        'expire-sessions': options.expire ?? refuse,
        'expire-uploads': refuse,
      }
      const done = (options.on ?? queue).run(handlers, { concurrency: options.concurrency ?? 1, signal: stop.signal })
      runners.push({ stop, done })
    }
    const reach = async (id: string, state: JobRow['state']): Promise<JobRow> => {
      await expect.poll(async () => (await queue.find(id))?.state, { timeout: 15_000, interval: 20 }).toBe(state)
      const row = await queue.find(id)
      if (row === undefined) throw new Error(`job ${id} is gone`)
      return row
    }
    /** Makes a running job look as if its worker had died a lease ago. */
    const killWorkerOf = (id: string): Promise<unknown> =>
      opened.pool.query(
        `update job set state = 'running', attempt = greatest(attempt, 1), worker = gen_random_uuid(), lease_until = now() - interval '1 second' where id = $1`,
        [id],
      )

    test('a job runs with its payload and is done', async () => {
      const id = await queue.enqueue('scrub', { payload: { project: 7 } })
      const seen: JobRow[] = []
      work(async ({ job }) => void seen.push(job))
      const row = await reach(id, 'done')
      expect(seen).toHaveLength(1)
      expect(seen[0]).toMatchObject({ id, type: 'scrub', payload: { project: 7 }, attempt: 1, state: 'running' })
      expect(row.finishedAt).toBeInstanceOf(Date)
      expect(row.error).toBeNull()
    })

    test('a job that comes while a worker waits is run by the handler of its type', async () => {
      work(refuse, { expire: async () => undefined })
      await reach(await queue.enqueue('expire-sessions'), 'done')
      await reach(await queue.enqueue('expire-sessions'), 'done')
    })

    test('while a job of the same type and key stands, no second one is added', async () => {
      const first = await queue.enqueue('scrub', { key: 'nightly' })
      expect(await queue.enqueue('scrub', { key: 'nightly' })).toBe(first)
      expect(await opened.second.enqueue('scrub', { key: 'nightly' })).toBe(first)
      expect(await queue.enqueue('scrub', { key: 'other' })).not.toBe(first)
      expect(await queue.enqueue('expire-sessions', { key: 'nightly' })).not.toBe(first)
      expect(await queue.enqueue('scrub')).not.toBe(await queue.enqueue('scrub'))
      const held = Promise.withResolvers<void>()
      work(() => held.promise, { expire: async () => undefined })
      await reach(first, 'running')
      expect(await queue.enqueue('scrub', { key: 'nightly' })).toBe(first)
      held.resolve()
      await reach(first, 'done')
      expect(await queue.enqueue('scrub', { key: 'nightly' })).not.toBe(first)
    })

    test('of many who add the same key at once all get the one job', async () => {
      const ids = await Promise.all(
        Array.from({ length: 20 }, (_, index) => (index % 2 ? queue : opened.second).enqueue('scrub', { key: 'one' })),
      )
      expect(new Set(ids).size).toBe(1)
    })

    test('a job does not run before its time', async () => {
      const runAt = new Date(Date.now() + 500)
      let ran = 0
      work(async () => void (ran = Date.now()))
      await reach(await queue.enqueue('scrub', { runAt }), 'done')
      // Ten milliseconds: the clocks of the database and of Redis round differently.
      expect(ran).toBeGreaterThanOrEqual(runAt.getTime() - 10)
    })

    test('a job that throws is tried again, and keeps no error once it succeeds', async () => {
      let runs = 0
      work(async () => {
        if (++runs < 3) throw new Error(`failure ${runs}`)
      })
      const row = await reach(await queue.enqueue('scrub'), 'done')
      expect(row).toMatchObject({ attempt: 3, error: null })
    })

    test('a job that throws at every attempt has failed with the last error', async () => {
      let runs = 0
      work(async () => {
        throw new Error(`failure ${++runs}`)
      })
      const row = await reach(await queue.enqueue('scrub', { maxAttempts: 3 }), 'failed')
      expect(row).toMatchObject({ attempt: 3, error: 'failure 3' })
      expect(row.finishedAt).toBeInstanceOf(Date)
      expect(runs).toBe(3)
    })

    test('progress is visible while the job runs and stays after it', async () => {
      const held = Promise.withResolvers<void>()
      work(async ({ progress }) => {
        await progress({ blobs: 3 })
        await held.promise
      })
      const id = await queue.enqueue('scrub')
      await expect.poll(async () => (await queue.find(id))?.progress, { timeout: 10_000 }).toEqual({ blobs: 3 })
      held.resolve()
      expect((await reach(id, 'done')).progress).toEqual({ blobs: 3 })
    })

    test('two workers share many jobs, run each once, and none runs more at once than it may', async () => {
      const runs = new Map<string, number>()
      const inHand = [0, 0]
      const most = [0, 0]
      const handler = (worker: 0 | 1) => async (context: JobContext) => {
        most[worker] = Math.max(most[worker] ?? 0, ++inHand[worker]!)
        runs.set(context.job.id, (runs.get(context.job.id) ?? 0) + 1)
        await new Promise((resolve) => setTimeout(resolve, 2))
        inHand[worker]!--
      }
      const ids = await Promise.all(Array.from({ length: 60 }, () => queue.enqueue('scrub')))
      work(handler(0), { concurrency: 4 })
      work(handler(1), { on: opened.second, concurrency: 3 })
      for (const id of ids) await reach(id, 'done')
      expect([...runs.values()]).toEqual(ids.map(() => 1))
      expect(most[0]).toBeLessThanOrEqual(4)
      expect(most[1]).toBeLessThanOrEqual(3)
    })

    test('a stopping worker tells its handler, puts the job back, and the next worker ends it as its first attempt', async () => {
      const id = await queue.enqueue('scrub', { maxAttempts: 1 })
      const started = Promise.withResolvers<void>()
      work(async ({ signal }) => {
        started.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      })
      await started.promise
      await stopRunners()
      expect(await queue.find(id)).toMatchObject({ state: 'queued', attempt: 0 })
      work(async () => undefined, { on: opened.second })
      expect(await reach(id, 'done')).toMatchObject({ attempt: 1 })
    })

    test('the job of a dead worker is taken over once its lease has lapsed', async () => {
      const id = await queue.enqueue('scrub')
      await killWorkerOf(id)
      work(async () => undefined)
      expect(await reach(id, 'done')).toMatchObject({ attempt: 2 })
    })

    test('a job whose workers died at every attempt has failed', async () => {
      const id = await queue.enqueue('scrub', { maxAttempts: 1 })
      await killWorkerOf(id)
      work(refuse)
      expect((await reach(id, 'failed')).error).toContain('lease')
    })

    test('a long job keeps its lease', async () => {
      let runs = 0
      work(async () => {
        runs++
        await new Promise((resolve) => setTimeout(resolve, TEST_LEASE_SECONDS * 1500))
      })
      work(refuse, { on: opened.second })
      // The second worker refuses, so the job ends well only if the first one keeps it or gets it back.
      const row = await reach(await queue.enqueue('scrub', { maxAttempts: 50 }), 'done')
      expect(row.attempt).toBeGreaterThanOrEqual(runs)
      expect(runs).toBe(1)
    })

    test('a worker that lost its lease is told, and what it then returns changes nothing', async () => {
      const id = await queue.enqueue('scrub', { maxAttempts: 1 })
      const started = Promise.withResolvers<void>()
      const told = Promise.withResolvers<void>()
      work(async ({ signal }) => {
        signal.addEventListener('abort', () => told.resolve())
        started.resolve()
        await told.promise
      })
      await started.promise
      await killWorkerOf(id)
      await told.promise
      expect((await reach(id, 'failed')).error).toContain('lease')
    })

    test('jobs are listed newest first, and an unknown id finds nothing', async () => {
      const ids = []
      for (let index = 0; index < 3; index++) ids.push(await queue.enqueue('scrub', { runAt: new Date(Date.now() + 3_600_000) }))
      expect((await queue.list(2)).map((job) => job.id)).toEqual([ids[2], ids[1]])
      expect(await queue.find('0')).toBeUndefined()
      expect(await queue.find('nonsense')).toBeUndefined()
    })
  })
}
