import type { ChildProcess } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { CairnError, isCode } from '@cairn/protocol/error'
import { copyBinaries, findBinaries, linkLibraries, type Binaries } from './embedded-postgres/binaries.ts'
import { clusterMajor, makeCluster, NAME } from './embedded-postgres/cluster.ts'
import { succeeds } from './embedded-postgres/command.ts'
import { startPostmaster, stopPostmaster, type PostmasterOptions } from './embedded-postgres/postmaster.ts'
import { chooseRunMode, type RunAs, type RunMode } from './embedded-postgres/run-mode.ts'
import { makeSocketDir } from './embedded-postgres/socket-dir.ts'

export interface EmbeddedPostgres {
  poolConfig: pg.PoolConfig
  /** Which binaries run, and as whom; for the log. */
  kind: string
  /** Stops Postgres and waits for its end. May be called twice. */
  stop(): Promise<void>
}

export interface EmbeddedPostgresOptions {
  /** The folder that holds everything of it; made when missing. The caller keeps it for good. */
  dir: string
  /** Cancels the start. Afterwards only `stop` ends it. */
  signal?: AbortSignal
  log?: (line: string) => void
  /** Further settings of Postgres, by name. */
  settings?: Readonly<Record<string, string>>
  /** How long to wait for another server to leave `dir`; a restart may overlap with the old server's end. Default 10. */
  patienceSeconds?: number
  /** Chosen by itself otherwise: see RunMode. */
  runMode?: RunMode
}

/**
 * Starts a PostgreSQL of our own over `dir`, reachable through a private Unix socket only. It dies with this process, also
 * when that is killed; the next start recovers what was committed. If it dies alone, it is started again.
 * @throws CairnError CONFIG when it cannot run here, LOCKED when another server runs it
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  if (process.platform === 'win32')
    throw new CairnError('CONFIG', 'the embedded PostgreSQL does not run on Windows', { hint: 'set DATABASE_URL' })
  const log = options.log ?? ((): void => undefined)
  fs.mkdirSync(options.dir, { recursive: true, mode: 0o700 })
  const dir = fs.realpathSync(options.dir)
  const data = path.join(dir, 'data')
  const as = await chooseRunMode(dir, data, options.runMode)
  const { bin } = await usableBinaries(findBinaries(clusterMajor(data)), dir, as)
  if (clusterMajor(data) === undefined)
    await makeCluster(bin, data, as, { durable: options.settings?.['fsync'] !== 'off', signal: options.signal })
  const socketDir = makeSocketDir(data, as.mode)
  const supervisor = await supervise({
    bin,
    data,
    socketDir,
    as,
    settings: options.settings ?? {},
    patienceMs: (options.patienceSeconds ?? 10) * 1000,
    signal: options.signal,
    log,
  })
  const poolConfig: pg.PoolConfig = { host: socketDir, port: 5432, user: NAME, database: NAME }
  try {
    await makeDatabase(poolConfig)
  } catch (error) {
    await supervisor.stop()
    throw error
  }
  return {
    poolConfig,
    kind: `${bin} as ${as.mode}`,
    stop: async () => {
      await supervisor.stop()
      fs.rmSync(socketDir, { recursive: true, force: true })
    },
  }
}

/** The binaries themselves, or a copy in `dir` when they cannot be completed or reached from here by whoever runs them. */
async function usableBinaries(binaries: Binaries, dir: string, as: RunAs): Promise<Binaries> {
  const linked = binaries.packageDir === undefined || linkLibraries(binaries.packageDir)
  const works = async ({ bin }: Binaries): Promise<boolean> => succeeds([...as.prefix, path.join(bin, 'postgres'), '--version'])
  if (linked && (await works(binaries))) return binaries
  const copy = copyBinaries(binaries, dir)
  if (await works(copy)) return copy
  throw new CairnError('CONFIG', `${binaries.bin}: these PostgreSQL binaries do not run here`, {
    hint: 'set DATABASE_URL, or install PostgreSQL',
  })
}

/** Keeps the postmaster up: one that dies by itself is started again, five times within a minute at most. */
async function supervise(options: PostmasterOptions): Promise<{ stop(): Promise<void> }> {
  let stopping = false
  let child = await startPostmaster(options)
  const deaths: number[] = []
  const watch = (running: ChildProcess): void => {
    running.once('exit', (code, signal) => {
      if (!stopping) void revive(`PostgreSQL ended by itself (${signal ?? code})`)
    })
  }
  const revive = async (why: string): Promise<void> => {
    deaths.push(Date.now())
    const recent = deaths.filter((at) => Date.now() - at < 60_000).length
    options.log(`${why}; ${recent > 5 ? 'giving up' : 'starting it again'}`)
    if (recent > 5) return
    await sleep(recent * 200)
    if (stopping) return
    try {
      child = await startPostmaster({ ...options, signal: undefined })
    } catch (error) {
      return revive(error instanceof Error ? error.message : String(error))
    }
    if (stopping) await stopPostmaster(child)
    else watch(child)
  }
  watch(child)
  return {
    stop: async () => {
      stopping = true
      await stopPostmaster(child)
    },
  }
}

async function makeDatabase(poolConfig: pg.PoolConfig): Promise<void> {
  const client = new pg.Client({ ...poolConfig, database: 'postgres' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [NAME])
    if (rowCount === 0) await client.query(`create database ${NAME}`)
  } catch (error) {
    // duplicate_database: two servers made it at once.
    if (!isCode(error, '42P04', '23505')) throw error
  } finally {
    await client.end()
  }
}
