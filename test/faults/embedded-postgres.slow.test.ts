import { spawn, type ChildProcess } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from '../../server/src/adapters/embedded-postgres.ts'
import { findBinaries } from '../../server/src/adapters/embedded-postgres/binaries.ts'
import { run, succeeds } from '../../server/src/adapters/embedded-postgres/command.ts'
import { isAlive } from '../../server/src/adapters/embedded-postgres/owner.ts'
import { chooseRunMode } from '../../server/src/adapters/embedded-postgres/run-mode.ts'

const OWNER = path.join(import.meta.dirname, '../rig/postgres-owner.ts')
const NOBODY = 65534
const isRoot = process.getuid?.() === 0

let home: string
let dir: string
let children: ChildProcess[]
let started: EmbeddedPostgres[]

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-faults-'))
  dir = path.join(home, 'postgres')
  children = []
  started = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const postgres of started) await postgres.stop()
  fs.rmSync(home, { recursive: true, force: true })
})

async function start(options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ dir, ...options })
  started.push(postgres)
  return postgres
}

async function query<T extends pg.QueryResultRow>({ poolConfig }: EmbeddedPostgres, sql: string): Promise<T[]> {
  const client = new pg.Client(poolConfig)
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<T>(sql)).rows
  } finally {
    await client.end()
  }
}

/** Starts a process that owns the cluster; `committed` grows while it writes rows. */
function spawnOwner(prefix: readonly string[] = []): {
  child: ChildProcess
  committed: () => number
  until: (rows: number) => Promise<void>
} {
  const [file = '', ...args] = [...prefix, process.execPath, OWNER, dir]
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] ?? '', NODE_NO_WARNINGS: '1' },
  })
  children.push(child)
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => (text = (text + chunk.toString()).slice(-200)))
  const committed = (): number => Number(text.slice(0, text.lastIndexOf('\n')).split('\n').at(-1)) || 0
  return {
    child,
    committed,
    until: (rows) => expect.poll(committed, { timeout: 30_000, interval: 20 }).toBeGreaterThanOrEqual(rows),
  }
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

const postmasterPid = (): number => Number.parseInt(fs.readFileSync(path.join(dir, 'data', 'postmaster.pid'), 'utf8'), 10)
const countRows = async (postgres: EmbeddedPostgres): Promise<number> =>
  Number((await query<{ count: string }>(postgres, 'select count(*) from counted'))[0]?.count)

describe('a killed server', () => {
  test('leaves no postmaster behind, and its committed rows are there at the next start', async () => {
    const owner = spawnOwner()
    await owner.until(50)
    const postmaster = postmasterPid()
    await kill(owner.child)
    await expect.poll(() => isAlive(postmaster), { timeout: 20_000 }).toBe(false)
    expect(await countRows(await start())).toBeGreaterThanOrEqual(owner.committed())
  })

  test('can be started again at once, and again', async () => {
    let committed = 0
    for (let round = 0; round < 2; round++) {
      const owner = spawnOwner()
      await owner.until(committed + 10)
      await kill(owner.child)
      committed = owner.committed()
    }
    expect(await countRows(await start())).toBeGreaterThanOrEqual(committed)
  })

  test('half way through making its cluster leaves nothing in the way of the next start', async () => {
    const { child } = spawnOwner()
    await expect
      .poll(() => initFolders().some((name) => fs.existsSync(path.join(dir, name, 'PG_VERSION'))), {
        timeout: 20_000,
        interval: 2,
      })
      .toBe(true)
    await kill(child)
    expect(fs.existsSync(path.join(dir, 'data'))).toBe(false)
    expect(await query(await start(), 'select 1 as one')).toEqual([{ one: 1 }])
    expect(initFolders()).toEqual([])
  })

  test('whose postmaster outlived it is succeeded once that has been stopped', async () => {
    const first = await start()
    await query(first, 'create table kept (id int)')
    await first.stop()
    const as = await chooseRunMode(dir, path.join(dir, 'data'))
    const orphan = [...as.prefix, path.join(findBinaries(undefined).bin, 'postgres'), '-D', path.join(dir, 'data')]
    const socketDir = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-orphan-'))
    const [file = '', ...args] = [...orphan, '-k', socketDir, '-c', 'listen_addresses=', '-c', 'cairn.owner=4194303.1']
    const child = spawn(file, args, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
    children.push(child)
    await new Promise<void>((resolve) =>
      child.stderr?.on('data', (chunk: Buffer) => chunk.includes('ready to accept') && resolve()),
    )
    expect(await query(await start(), 'select count(*)::int as rows from kept')).toEqual([{ rows: 0 }])
    expect(child.exitCode).toBe(0)
    fs.rmSync(socketDir, { recursive: true, force: true })
  })

  test('whose pid went to another program is not waited for', async () => {
    await (await start()).stop()
    const other = spawn('sleep', ['60'])
    children.push(other)
    fs.writeFileSync(path.join(dir, 'data', 'postmaster.pid'), `${other.pid}\n${dir}/data\n0\n5432\n/tmp\n\n`)
    expect(await query(await start(), 'select 1 as one')).toEqual([{ one: 1 }])
    expect(isAlive(other.pid ?? 0)).toBe(true)
  })
})

describe('a running server', () => {
  test('starts Postgres again when that was killed under it', async () => {
    const lines: string[] = []
    const postgres = await start({ log: (line) => lines.push(line) })
    await query(postgres, 'create table kept (id int)')
    process.kill(postmasterPid(), 'SIGKILL')
    await expect
      .poll(() => query(postgres, 'select count(*)::int as rows from kept').catch(() => []), { timeout: 20_000 })
      .toEqual([{ rows: 0 }])
    expect(lines.join('\n')).toContain('starting it again')
  })

  test('keeps its cluster when a second one starts over the same folder', async () => {
    const first = await start()
    await query(first, 'create table kept (id int)')
    await expect(startEmbeddedPostgres({ dir, patienceSeconds: 0.5 })).rejects.toMatchObject({ code: 'LOCKED' })
    expect(await query(first, 'select count(*)::int as rows from kept')).toEqual([{ rows: 0 }])
  })

  test('can be cancelled while it starts, and started after that', async () => {
    const cancel = new AbortController()
    const starting = startEmbeddedPostgres({ dir, signal: cancel.signal })
    await expect.poll(() => initFolders().length, { timeout: 20_000, interval: 2 }).toBe(1)
    cancel.abort(new Error('cancelled'))
    await expect(starting).rejects.toThrow('cancelled')
    expect(await query(await start(), 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('says that it does not know the version of an existing cluster', async () => {
    fs.mkdirSync(path.join(dir, 'data'), { recursive: true })
    fs.writeFileSync(path.join(dir, 'data', 'PG_VERSION'), '9\n')
    await expect(startEmbeddedPostgres({ dir })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('PostgreSQL 9'),
    })
  })

  test('works below a private folder and under a path that is too long for a socket', async () => {
    fs.chmodSync(home, 0o700)
    dir = path.join(home, 'x'.repeat(120), 'postgres')
    const postgres = await start()
    expect(await query(postgres, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(fs.statSync(postgres.poolConfig.host ?? '').mode & 0o777).toBe(0o700)
  })
})

describe.runIf(isRoot)('as root', () => {
  test('it runs as nobody where namespaces are forbidden, and goes on so', async () => {
    fs.chmodSync(home, 0o755)
    const first = await start({ runMode: 'nobody' })
    expect(await query(first, 'select 1 as one')).toEqual([{ one: 1 }])
    await first.stop()
    const second = await start()
    expect(second.kind).toContain('nobody')
    await second.stop()
    expect(fs.statSync(path.join(dir, 'data')).uid).toBe(NOBODY)
  })

  test('it says what to do where nobody cannot reach the folder', async () => {
    fs.chmodSync(home, 0o700)
    await expect(startEmbeddedPostgres({ dir, runMode: 'nobody' })).rejects.toMatchObject({
      code: 'CONFIG',
      hint: expect.stringContaining('CAIRN_HOME'),
    })
  })

  test('an ordinary user runs it as himself', async ({ skip }) => {
    const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--']
    // The sources must be readable to that user, too.
    if (!(await succeeds([...asNobody, 'test', '-r', OWNER]))) skip()
    fs.chownSync(home, NOBODY, NOBODY)
    const owner = spawnOwner(asNobody)
    await owner.until(5)
    const postmaster = postmasterPid()
    expect((await run(['stat', '-c', '%u', `/proc/${postmaster}`])).output.trim()).toBe(String(NOBODY))
    await kill(owner.child)
    await expect.poll(() => isAlive(postmaster), { timeout: 20_000 }).toBe(false)
  })
})

function initFolders(): string[] {
  return fs.existsSync(dir) ? fs.readdirSync(dir).filter((name) => name.startsWith('init-')) : []
}
