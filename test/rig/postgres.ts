import { createHash, randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../server/src/adapters/embedded-postgres.ts'
import { findMigrations, migrate } from '../../server/src/adapters/postgres/migrate.ts'
import { openPool } from '../../server/src/adapters/postgres/pool.ts'

export const MIGRATIONS = findMigrations(import.meta.dirname)

export interface TestPostgres {
  /** A fresh, migrated database. */
  poolConfig: pg.PoolConfig
  /** Drops the database, and ends the cluster after its last database. */
  stop(): Promise<void>
}

/** No durability: a test's rows need not outlive the machine. */
const SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', shared_buffers: '32MB' }
const TEMPLATE = 'cairn_template'

interface Cluster {
  postgres: EmbeddedPostgres
  dir: string
  users: number
}

let cluster: Promise<Cluster> | undefined

/**
 * A fresh database for one test file, on one cluster a worker. With `url`, on that server instead. Safe to call more than once
 * in a file; every call needs its `stop`.
 */
export async function startTestPostgres(options: { url?: string | undefined } = {}): Promise<TestPostgres> {
  if (options.url !== undefined) return databaseOn({ connectionString: options.url })
  cluster ??= startCluster()
  const current = await cluster
  current.users++
  const database = await freshDatabase(current.postgres.poolConfig, TEMPLATE)
  return {
    poolConfig: { ...current.postgres.poolConfig, database },
    stop: async () => {
      await dropDatabase(current.postgres.poolConfig, database)
      if (--current.users > 0) return
      cluster = undefined
      await current.postgres.stop()
      fs.rmSync(current.dir, { recursive: true, force: true })
    },
  }
}

/** Runs over a copy of a cluster that was made and migrated once for all runs of these migrations. */
async function startCluster(): Promise<Cluster> {
  const skeleton = await makeSkeleton()
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-test-pg-'))
  fs.cpSync(skeleton, dir, { recursive: true, preserveTimestamps: true })
  fs.chmodSync(path.join(dir, 'data'), 0o700)
  // For a test file that ends without its `stop`; Postgres itself dies with this process.
  process.once('exit', () => fs.rmSync(dir, { recursive: true, force: true }))
  const postgres = await startEmbeddedPostgres({ dir, settings: SETTINGS })
  return { postgres, dir, users: 0 }
}

/** Made aside and renamed: of two workers that start at once, the first one's stays. */
async function makeSkeleton(): Promise<string> {
  const text = fs
    .readdirSync(MIGRATIONS)
    .sort()
    .map((name) => fs.readFileSync(path.join(MIGRATIONS, name), 'utf8'))
  const hash = createHash('sha256').update(text.join('\0')).digest('hex').slice(0, 12)
  const skeleton = path.join(os.tmpdir(), `cairn-test-skeleton-${process.getuid?.() ?? 0}-${hash}`)
  if (fs.existsSync(skeleton)) return skeleton
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-test-pg-'))
  const postgres = await startEmbeddedPostgres({ dir, settings: SETTINGS })
  const template = await databaseOn(postgres.poolConfig, TEMPLATE)
  const pool = openPool(template.poolConfig)
  await migrate(pool, MIGRATIONS)
  await pool.end()
  await postgres.stop()
  try {
    fs.renameSync(dir, skeleton)
  } catch {
    fs.rmSync(dir, { recursive: true, force: true })
  }
  return skeleton
}

async function databaseOn(server: pg.PoolConfig, name?: string): Promise<TestPostgres> {
  const database = await freshDatabase(server, undefined, name)
  const poolConfig = { ...server, database }
  if (server.connectionString !== undefined) {
    const url = new URL(server.connectionString)
    url.pathname = `/${database}`
    poolConfig.connectionString = url.href
  }
  return { poolConfig, stop: () => dropDatabase(server, database) }
}

async function freshDatabase(server: pg.PoolConfig, template: string | undefined, name?: string): Promise<string> {
  const database = name ?? `cairn_test_${randomBytes(6).toString('hex')}`
  await onServer(server, `create database ${database}${template === undefined ? '' : ` template ${template}`}`)
  return database
}

async function dropDatabase(server: pg.PoolConfig, database: string): Promise<void> {
  await onServer(server, `drop database if exists ${database} with (force)`)
}

async function onServer(server: pg.PoolConfig, sql: string): Promise<void> {
  const client = new pg.Client(server)
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
