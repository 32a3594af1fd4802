import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { isCode } from '@cairn/protocol/error'

const INT8 = 20

/** bigint arrives as a number: ids and sizes stay below 2^53. */
export const TYPES: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format: 'text' | 'binary') =>
    oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) as pg.CustomTypesConfig['getTypeParser'],
}

/**
 * The pool that the catalog and the jobs share; whoever opens it ends it. Connections that break while idle are reported
 * through `log` and replaced; unheard, they would end the server.
 */
export function openPool(config: pg.PoolConfig, log: (line: string) => void = () => undefined): pg.Pool {
  const pool = new pg.Pool({
    max: 10,
    connectionTimeoutMillis: 10_000,
    // Bounds of the database's side: a replica that hangs in a transaction must not hold a lock for ever.
    statement_timeout: 120_000,
    idle_in_transaction_session_timeout: 60_000,
    application_name: 'cairn',
    // A project that the statistics do not know yet counts as one row. The planner then keeps all its objects aside and
    // compares each of a batch with each of them: 10,000 objects of a first push took minutes instead of half a second.
    options: '-c enable_material=off',
    keepAlive: true,
    ...config,
    types: TYPES,
  })
  pool.on('error', (error) => log(`database: ${error.message}`))
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** Either a pool or a client inside a transaction. */
export type Queryable = Pick<pg.ClientBase, 'query'>

/** Thrown inside a transaction that saw the database change under it: it is rolled back and run again. */
export class ChangedMeanwhile extends Error {}

const ATTEMPTS = 5

/**
 * Runs `work` in a transaction (read committed) and commits when it resolves. Deadlocks and `ChangedMeanwhile` are tried
 * again, so `work` may run more than once and must have no effect but on the database.
 */
export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await attemptTransaction(pool, work)
    } catch (error) {
      const again = error instanceof ChangedMeanwhile || isCode(error, '40P01', '40001')
      if (!again || attempt === ATTEMPTS) throw error
      await sleep(Math.random() * 20 * attempt)
    }
  }
}

async function attemptTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken = false
  try {
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch(() => {
      broken = true
    })
    throw error
  } finally {
    client.release(broken)
  }
}

/**
 * The gate between who relies on objects being live and who takes that away, one a project, held to the end of the
 * transaction. `shared`: linking and mending trees. `exclusive`: marking objects damaged.
 */
export async function passGate(client: Queryable, projectId: number, how: 'shared' | 'exclusive'): Promise<void> {
  await client.query(`select pg_advisory_xact_lock${how === 'shared' ? '_shared' : ''}(${GATE}, $1)`, [projectId])
}

/** First halves of advisory locks' names: they are arbitrary, and must only differ. */
const GATE = 0x6361_0001
export const MIGRATION_LOCK = 0x6361_0002
