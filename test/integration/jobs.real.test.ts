import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type pg from 'pg'
import { createBullmqJobs } from '../../server/src/adapters/jobs/bullmq-jobs.ts'
import { createCatalog } from '../../server/src/adapters/postgres/catalog.ts'
import { migrate } from '../../server/src/adapters/postgres/migrate.ts'
import { openPool } from '../../server/src/adapters/postgres/pool.ts'
import { testCatalog } from '../conformance/catalog.ts'
import { TEST_OPTIONS, testJobQueue } from '../conformance/job-queue.ts'
import { MIGRATIONS, startTestPostgres, type TestPostgres } from '../rig/postgres.ts'

const DATABASE_URL = process.env['CAIRN_TEST_DATABASE_URL']
const REDIS_URL = process.env['CAIRN_TEST_REDIS_URL']

let postgres: TestPostgres
let pools: [pg.Pool, pg.Pool]

beforeAll(async () => {
  postgres = await startTestPostgres({ url: DATABASE_URL })
  pools = [openPool(postgres.poolConfig), openPool(postgres.poolConfig)]
  await migrate(pools[0], MIGRATIONS)
})
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()))
  await postgres.stop()
})

describe.runIf(DATABASE_URL !== undefined)('with a real Postgres', () => {
  testCatalog('catalog on Postgres', async () => ({
    catalog: createCatalog(pools[0], { poolConfig: postgres.poolConfig }),
    replica: createCatalog(pools[1], { poolConfig: postgres.poolConfig }),
    close: async () => undefined,
  }))
})

describe.runIf(REDIS_URL !== undefined)('with a real Redis', () => {
  const options = (name: string) => ({ ...TEST_OPTIONS, poolConfig: postgres.poolConfig, redisUrl: REDIS_URL ?? '', name })

  testJobQueue('jobs carried by BullMQ', async () => {
    const name = `cairn-test-${randomBytes(4).toString('hex')}`
    const queue = createBullmqJobs(pools[0], options(name))
    const second = createBullmqJobs(pools[1], options(name))
    return { queue, second, pool: pools[0], close: async () => void (await Promise.all([queue.close(), second.close()])) }
  })

  const handlers = {
    scrub: async () => undefined,
    'expire-sessions': async () => undefined,
    'expire-uploads': async () => undefined,
  }

  /** Runs jobs under another name in Redis, which knows nothing of what the first one carried, until this one is done. */
  async function endElsewhere(id: string): Promise<void> {
    const queue = createBullmqJobs(pools[1], options(`cairn-test-${randomBytes(4).toString('hex')}`))
    const stop = new AbortController()
    const running = queue.run(handlers, { concurrency: 1, signal: stop.signal })
    await expect.poll(async () => (await queue.find(id))?.state, { timeout: 20_000 }).toBe('done')
    stop.abort()
    await running
    await queue.close()
  }

  test('a job that Redis never got is handed over by the relay', async () => {
    // Nothing listens there: the job is in its row only.
    const cut = createBullmqJobs(pools[0], { ...options('cairn-test-cut'), redisUrl: 'redis://127.0.0.1:1' })
    await endElsewhere(await cut.enqueue('scrub'))
    await cut.close()
  })

  test('a job that fails before its hand-over is noted is tried again at once, not a minute later', async () => {
    // Notes arrive late, as on a busy machine.
    const slow = new Proxy(pools[0], {
      get: (pool, key) =>
        key === 'query'
          ? async (text: string, values: unknown[]) => {
              if (text.includes('carried_at = now()')) await sleep(300)
              return pool.query(text, values)
            }
          : Reflect.get(pool, key),
    })
    const name = `cairn-test-${randomBytes(4).toString('hex')}`
    const queue = createBullmqJobs(slow, { ...options(name), pollSeconds: 1 })
    const stop = new AbortController()
    let runs = 0
    const failing = { ...handlers, scrub: () => Promise.reject(new Error(`failure ${++runs}`)) }
    const running = queue.run(failing, { concurrency: 1, signal: stop.signal })
    const id = await queue.enqueue('scrub', { maxAttempts: 2 })
    await expect.poll(async () => (await queue.find(id))?.state, { timeout: 10_000 }).toBe('failed')
    expect(runs).toBe(2)
    stop.abort()
    await running
    await queue.close()
  })

  test('a job that Redis had and lost is handed over again a minute after it was due', async () => {
    const first = createBullmqJobs(pools[0], options(`cairn-test-${randomBytes(4).toString('hex')}`))
    const id = await first.enqueue('scrub')
    await first.close()
    const { rows } = await pools[0].query('select carried_at is not null as carried from job where id = $1', [id])
    expect(rows).toEqual([{ carried: true }])
    await pools[0].query(
      `update job set carried_at = now() - interval '61 seconds', run_at = now() - interval '61 seconds' where id = $1`,
      [id],
    )
    await endElsewhere(id)
  })
})
