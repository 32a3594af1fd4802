import { afterAll, beforeAll } from 'vitest'
import type pg from 'pg'
import { createPostgresJobs } from '../../server/src/adapters/jobs/postgres-jobs.ts'
import { openPool } from '../../server/src/adapters/postgres/pool.ts'
import { TEST_OPTIONS, testJobQueue } from '../conformance/job-queue.ts'
import { startTestPostgres, type TestPostgres } from '../rig/postgres.ts'

let postgres: TestPostgres
let pools: [pg.Pool, pg.Pool]

beforeAll(async () => {
  postgres = await startTestPostgres()
  pools = [openPool(postgres.poolConfig), openPool(postgres.poolConfig)]
})
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()))
  await postgres.stop()
})

testJobQueue('jobs in Postgres', async () => {
  const options = { ...TEST_OPTIONS, poolConfig: postgres.poolConfig }
  return {
    queue: createPostgresJobs(pools[0], options),
    second: createPostgresJobs(pools[1], options),
    pool: pools[0],
    close: async () => undefined,
  }
})
