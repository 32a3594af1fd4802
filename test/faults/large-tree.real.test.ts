import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { objectPath } from '@cairn/protocol/digest'
import { type CountingProxy, startCountingProxy } from '../rig/counting-proxy.ts'
import { type LargeTree, writeLargeTree } from '../rig/large-tree.ts'
import { startTestPostgres, type TestPostgres } from '../rig/postgres.ts'
import { CAIRN, createWorkstation, type Workstation } from '../rig/project.ts'
import { digestOf, type ServerProcess, startServerProcess } from '../rig/server.ts'

/** A folder of a million files, each with content of its own, one of which changes. Only Linux tells the peak of a process. */
const ENTRIES = Number(process.env['CAIRN_LARGE_TREE'] ?? 1_000_000)
const MOST_MEMORY_MIB = 512
const CHANGED = Math.floor(ENTRIES / 2)

let postgres: TestPostgres
let server: ServerProcess
let proxy: CountingProxy
let station: Workstation
let pulling: Workstation

beforeAll(async () => {
  postgres = await startTestPostgres()
  station = createWorkstation()
  pulling = createWorkstation()
  server = await startServerProcess({ env: { DATABASE_URL: urlOf(postgres.poolConfig) } })
  proxy = await startCountingProxy(server.url)
  await server.ask('POST', '/api/v1/projects', { json: { slug: 'large' } })
  await fillDatabase(postgres.poolConfig)
})
afterAll(async () => {
  await proxy?.close()
  await server?.remove()
  await postgres?.stop()
  station?.remove()
  pulling?.remove()
})

const md5At = (index: number) => createHash('md5').update(`file ${index}`).digest('hex')
const CHANGED_TEXT = 'one file of a million changed'

test('one changed file of a million costs kilobytes on the wire and 512 MiB at most, in both directions', async () => {
  await prepare(station)
  const before = place(station, md5At)
  commit(station)
  proxy.reset()
  const first = await measured(station, 'push')
  report('first push, the listing whole', first)
  expect(first.output).toContain('1 file pushed')

  const file = digestOf(CHANGED_TEXT)
  mkdirSync(path.dirname(cached(station, file)), { recursive: true })
  writeFileSync(cached(station, file), CHANGED_TEXT)
  const after = place(station, (index) => (index === CHANGED ? file : md5At(index)))
  commit(station)
  expect(after.digest).not.toBe(before.digest)
  proxy.reset()
  const pushed = await measured(station, 'push')
  report('push of one change', pushed)
  expect(pushed.output).toContain('2 files pushed')
  expect(proxy.sent + proxy.received).toBeLessThan(100 * 1024)
  expect(proxy.requests).toHaveLength(4)

  pulling.git('clone', '-q', station.dir, pulling.dir)
  pulling.env['CAIRN_TOKEN'] = server.adminToken ?? ''
  store(pulling, md5At)
  proxy.reset()
  const number = String(CHANGED).padStart(String(ENTRIES).length, '0')
  const pulled = await measured(pulling, 'fetch', `data/images/${number.slice(0, -3)}/image-${number}.jpg`)
  report('fetch of the changed file', pulled)
  expect(pulled.output).toContain('2 files fetched')
  expect(proxy.sent + proxy.received).toBeLessThan(100 * 1024)
  expect(readFileSync(cached(pulling, after.digest)).equals(readFileSync(after.file))).toBe(true)

  for (const run of [first, pushed, pulled]) expect(run.peakMib).toBeLessThan(MOST_MEMORY_MIB)
  expect(peakOf(server.pid)).toBeLessThan(MOST_MEMORY_MIB)
})

const cached = (at: Workstation, digest: Parameters<typeof objectPath>[0]) => path.join(at.dir, '.dvc/cache', objectPath(digest))

async function prepare(at: Workstation): Promise<void> {
  at.git('init', '-q', '-b', 'main')
  await at.cairn('init')
  await at.cairn('remote', 'add', '-d', 'origin', `${proxy.url}/dvc/large`)
  at.env['CAIRN_TOKEN'] = server.adminToken ?? ''
}

/** Puts a tree into the cache. */
function store(at: Workstation, md5: (index: number) => string): LargeTree {
  const tree = writeLargeTree(path.join(at.home, 'tree'), ENTRIES, md5)
  mkdirSync(path.dirname(cached(at, tree.digest)), { recursive: true })
  copyFileSync(tree.file, cached(at, tree.digest))
  return tree
}

/** The same, tracked as `data`. */
function place(at: Workstation, md5: (index: number) => string): LargeTree {
  const tree = store(at, md5)
  const stage = `outs:\n- md5: ${tree.digest}\n  size: 1\n  nfiles: ${ENTRIES}\n  hash: md5\n  path: data\n`
  writeFileSync(path.join(at.dir, 'data.dvc'), stage)
  return tree
}

function commit(at: Workstation): void {
  at.git('add', '-A')
  at.git('commit', '-qm', 'Commit')
}

interface Measured {
  output: string
  seconds: number
  peakMib: number
}

/** Runs the CLI and looks at its memory as long as it runs. */
async function measured(at: Workstation, ...args: string[]): Promise<Measured> {
  const start = performance.now()
  const child: ChildProcess = spawn(CAIRN, args, {
    cwd: at.dir,
    env: { ...process.env, ...at.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text))
  let peakMib = 0
  const looking = setInterval(() => (peakMib = Math.max(peakMib, peakOf(child.pid ?? 0))), 10)
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearInterval(looking)
  if (code !== 0) throw new Error(`cairn ${args.join(' ')} exited with ${code}\n${output}`)
  return { output, seconds: (performance.now() - start) / 1000, peakMib }
}

function peakOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

function report(what: string, { seconds, peakMib }: Measured): void {
  const wire = `${proxy.sent} bytes up, ${proxy.received} down, ${proxy.requests.length} requests`
  console.info(
    `${what}: ${wire}; ${seconds.toFixed(1)} s; cairn ${peakMib.toFixed(0)} MiB, server ${peakOf(server.pid).toFixed(0)} MiB`,
  )
}

/** Rows of the files, without their bytes: nobody reads those here. */
async function fillDatabase(config: pg.ClientConfig): Promise<void> {
  const client = new pg.Client(config)
  await client.connect()
  const { rows } = await client.query<{ id: string }>(
    `insert into blob (project_id, key, size, kind) select id, id || '/packs/large', ${ENTRIES}, 1 from project where slug = 'large' returning id`,
  )
  await client.query(
    `insert into object (blob_id, blob_offset, size, md5, project_id, state, kind, sha256)
     select $1, n, 1, md5('file ' || n)::uuid, (select id from project where slug = 'large'), 'live', 0, sha256(n::text::bytea)
     from generate_series(0, ${ENTRIES - 1}) as n`,
    [rows[0]?.id],
  )
  await client.query('analyze object')
  await client.end()
}

function urlOf({ user = '', password, host = '', port = 5432, database = '' }: pg.ClientConfig): string {
  const secret = typeof password === 'string' ? `:${encodeURIComponent(password)}` : ''
  return `postgres://${encodeURIComponent(user)}${secret}@localhost:${port}/${database}?host=${encodeURIComponent(host)}`
}
