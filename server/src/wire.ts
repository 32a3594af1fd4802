import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import type pg from 'pg'
import { diskBlobStore } from './adapters/blob-store/disk.ts'
import { withLimit } from './adapters/blob-store/with-limit.ts'
import { withMetrics } from './adapters/blob-store/with-metrics.ts'
import { withRetry } from './adapters/blob-store/with-retry.ts'
import { startEmbeddedPostgres } from './adapters/embedded-postgres.ts'
import { createHashThreads } from './adapters/hash-thread.ts'
import { createPostgresJobs } from './adapters/jobs/postgres-jobs.ts'
import { createJwtCodec } from './adapters/jwt.ts'
import { createCatalog } from './adapters/postgres/catalog.ts'
import { findMigrations, migrate } from './adapters/postgres/migrate.ts'
import { openPool } from './adapters/postgres/pool.ts'
import type { Config } from './config.ts'
import { directCapabilities, searchDirect } from './direct-search.ts'
import type { BlobStore } from './domain/ports/blob-store.ts'
import type { Catalog } from './domain/ports/catalog.ts'
import type { JobQueue } from './domain/ports/job-queue.ts'
import { createPrincipals, type TokenCodec } from './domain/principal.ts'
import { rememberProjects } from './domain/projects.ts'
import { createSmallObjects } from './domain/small-objects.ts'
import { createStockLeases } from './domain/stock-leases.ts'
import type { Stores } from './domain/stores.ts'
import { createUploads } from './domain/uploads.ts'
import { createAdmission } from './http/admission.ts'
import { createApp } from './http/app.ts'
import { listen } from './http/listen.ts'
import { createMetrics, type Metrics } from './http/metrics.ts'
import { createObjectMemory } from './http/object-memory.ts'
import { createHandlers } from './jobs/handlers.ts'
import { keepSchedule } from './jobs/schedule.ts'
import type { Log } from './log.ts'
import { VERSION } from './version.ts'

/** Whatever the parts are. */
const CAPABLE = ['uploads', 'tree-deltas', 'deltas', 'runs'] as const
const OPEN_READS = 128
const OPEN_WRITES = 128
/** Of sockets to a bucket. What they hold is bounded in bytes. */
const OPEN_BUCKET_WRITES = 48
/** With a bucket, so much of the memory for bodies is for parts on their way to it. */
const PARTS_SHARE = 0.3
/** A part of a large object streams through, and holds some chunks. */
const OPEN_BUCKET_PARTS = 40
/** Of one project. Each may stand for a week, and holds what it was sent. */
const OPEN_UPLOADS = 1000
/** Large objects that are put together or cut into chunks at once. A slow sender holds its place, so there are more than cores. */
const ASSEMBLIES = 16
const FLUSH_MILLISECONDS = 30_000
const DAMAGE_MILLISECONDS = 30_000
const JOBS_AT_ONCE = 2

export interface Database {
  poolConfig: pg.PoolConfig
  /** In words, for the log. */
  kind: string
  stop(): Promise<void>
}

/** What a server or a worker stands on. Whoever opened it closes it. */
export interface Parts {
  config: Config
  log: Log
  stores: Stores
  jobs: JobQueue
  codec: TokenCodec
  metrics: Metrics
  /** Which parts were picked, in words. */
  kinds: { database: string; blobs: string; jobs: string }
  close(): Promise<void>
}

/**
 * Opens the database that the configuration names, or starts our own; `patienceSeconds` is how long it waits for another
 * server to let go of it. @throws CairnError LOCKED, CONFIG
 */
export async function openDatabase(
  config: Config,
  log: Log,
  start: { signal?: AbortSignal; patienceSeconds?: number } = {},
): Promise<Database> {
  if (config.databaseUrl)
    return {
      poolConfig: { connectionString: config.databaseUrl },
      kind: 'PostgreSQL at DATABASE_URL',
      stop: () => Promise.resolve(),
    }
  const postgres = await startEmbeddedPostgres({
    dir: path.join(config.home, 'postgres'),
    log: (line) => log.warn(line),
    ...start,
  })
  return { poolConfig: postgres.poolConfig, kind: `embedded PostgreSQL (${postgres.kind})`, stop: () => postgres.stop() }
}

export async function migrateDatabase(database: Database, log: Log): Promise<string[]> {
  const pool = openPool(database.poolConfig, (line) => log.warn(line))
  try {
    return await migrate(pool, findMigrations(import.meta.dirname))
  } finally {
    await pool.end()
  }
}

/** Puts the parts together over a database. `blobs` is given by tests; otherwise the configuration picks. Closing stops the database too. */
export async function openParts(config: Config, log: Log, database: Database, given: { blobs?: BlobStore } = {}): Promise<Parts> {
  let closing = false
  // Connections that are about to close may still hear that the database stops.
  const pool = openPool(database.poolConfig, (line) => {
    if (!closing) log.warn(line)
  })
  try {
    const applied = await migrate(pool, findMigrations(import.meta.dirname))
    if (applied.length > 0) log.info({ applied }, 'migrated the database')
    const clock = { now: () => new Date() }
    const catalog = rememberProjects(createCatalog(pool, { poolConfig: database.poolConfig }), clock)
    const blobs = given.blobs ? { store: given.blobs, kind: 'given' } : await openBlobs(config)
    const jobs = await openJobs(config, { pool, poolConfig: database.poolConfig, catalog, log })
    const metrics = createMetrics()
    const measured = withMetrics(blobs.store, (call) => metrics.blobCall(call))
    const base = { catalog, blobs: measured, clock, notice: createNotice(log, metrics) }
    const hashBeside = availableParallelism() > 1 ? createHashThreads() : undefined
    const stores: Stores = { ...base, small: createSmallObjects(base), hashBeside }
    return {
      config,
      log,
      stores,
      jobs: jobs.queue,
      metrics,
      codec: createJwtCodec(config.signingKey ?? (await catalog.signingKey())),
      kinds: { database: database.kind, blobs: blobs.kind, jobs: jobs.kind },
      async close() {
        closing = true
        await jobs.queue.close()
        await pool.end()
        await database.stop()
      },
    }
  } catch (error) {
    await pool.end()
    throw error
  }
}

const partBytes = ({ s3, limits }: Config): number => (s3 ? Math.floor(limits.bytesInFlight * PARTS_SHARE) : 0)

async function openBlobs(config: Config): Promise<{ store: BlobStore; kind: string }> {
  const { s3, home } = config
  const reads = OPEN_READS
  if (!s3)
    return { store: withLimit(diskBlobStore(home), { reads, writes: OPEN_WRITES }), kind: `files in ${path.join(home, 'blobs')}` }
  const { s3BlobStore } = await import('./adapters/blob-store/s3.ts')
  const limited = withLimit(s3BlobStore({ ...s3, partBytes: partBytes(config) }), {
    reads,
    writes: OPEN_BUCKET_WRITES,
    parts: OPEN_BUCKET_PARTS,
  })
  return { store: withRetry(limited), kind: `bucket ${s3.bucket} at ${s3.endpoint}` }
}

async function openJobs(
  { redisUrl }: Config,
  { pool, poolConfig, catalog, log }: { pool: pg.Pool; poolConfig: pg.PoolConfig; catalog: Catalog; log: Log },
): Promise<{ queue: JobQueue; kind: string }> {
  const options = { poolConfig, log: (line: string) => log.warn(line) }
  if (!redisUrl) return { queue: createPostgresJobs(pool, options), kind: 'a table in the database' }
  const { createBullmqJobs } = await import('./adapters/jobs/bullmq-jobs.ts')
  // Two deployments may share one Redis; neither may take the other's jobs. What a database and its replicas share names the queue.
  const name = `cairn-${createHash('sha256')
    .update(await catalog.signingKey())
    .digest('hex')
    .slice(0, 16)}`
  return { queue: createBullmqJobs(pool, { ...options, redisUrl, name }), kind: 'BullMQ at REDIS_URL' }
}

function createNotice(log: Log, metrics: Metrics): Stores['notice'] {
  return (notice) => {
    metrics.notice(notice)
    if (notice.type === 'damaged') log.error(notice, 'stored bytes are damaged')
    if (notice.type === 'mended') log.info(notice, 'trees are whole again')
  }
}

export interface Serving {
  url: string
  port: number
  /** Lets what is in hand end, then stops. The parts stay open. */
  close(): Promise<void>
}

/** Serves HTTP over the parts. @throws the system's error when the port is taken */
export async function serve(parts: Parts): Promise<Serving> {
  const { config, log, stores, jobs, codec, metrics } = parts
  const principals = createPrincipals(stores.catalog, codec, stores.clock)
  const { requestsInFlight, bytesInFlight } = config.limits
  const admission = createAdmission({ requestsInFlight, bytesInFlight: bytesInFlight - partBytes(config) })
  const background = new AbortController()
  let stopping = false
  const direct = searchDirect(parts, background.signal)
  await direct.firstLook
  metrics.watch({ admission, damagedObjects: countDamage(stores) })
  const uploads = createUploads(stores, { objectBytes: config.limits.objectBytes, openUploads: OPEN_UPLOADS })
  const app = createApp({
    stores,
    uploads,
    jobs,
    principals,
    codec,
    limits: config.limits,
    admission,
    assembly: createAdmission({ requestsInFlight: ASSEMBLIES, bytesInFlight: Infinity }),
    memory: createObjectMemory(config.limits.cacheBytes),
    stockLeases: createStockLeases(stores),
    metrics,
    log,
    version: VERSION,
    get capabilities() {
      return [...CAPABLE, ...directCapabilities(direct.offer())]
    },
    direct: direct.offer,
    redirectsStock: config.direct.stockDownloads,
    stopping: () => stopping,
  })
  const listening = await listen(app, config)
  const watching = stores.catalog.watchRevocations((id) => principals.forget(id), background.signal)
  const flush = () =>
    principals.flushUse().catch((error: unknown) => log.warn({ err: error }, 'could not write down which tokens were used'))
  const flushing = setInterval(() => void flush(), FLUSH_MILLISECONDS)
  return {
    url: config.publicUrl ?? `http://${shownHost(config.host)}:${listening.port}`,
    port: listening.port,
    async close() {
      stopping = true
      clearInterval(flushing)
      await listening.close(config.limits.shutdownSeconds)
      await uploads.close()
      background.abort()
      await watching
      await flush()
    },
  }
}

/** Asked at every look at the metrics, so the answer is kept for a while. */
function countDamage(stores: Stores): () => Promise<number> {
  let known = { at: -Infinity, count: 0 }
  return async () => {
    if (performance.now() - known.at < DAMAGE_MILLISECONDS) return known.count
    let count = 0
    for (const project of await stores.catalog.listProjects()) count += (await stores.catalog.usage(project.id)).damaged
    known = { at: performance.now(), count }
    return count
  }
}

function shownHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}

/** Runs jobs and keeps their schedule until the signal aborts; then waits for those in hand. */
export async function work(parts: Parts, signal: AbortSignal): Promise<void> {
  const { stores, jobs, log } = parts
  const schedule = keepSchedule(jobs, stores.clock, signal, (error) => log.warn({ err: error }, 'could not schedule a job'))
  await Promise.all([jobs.run(createHandlers(stores), { concurrency: JOBS_AT_ONCE, signal }), schedule])
}
