import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshBackends } from '../rig/backends.ts'
import { startCountingProxy, type CountingProxy } from '../rig/counting-proxy.ts'
import { randomBlock, seeded, writeSmallFiles } from '../rig/images.ts'
import { createWorkstation, folderDigest, run, type Workstation } from '../rig/project.ts'
import { startFreshServer } from '../rig/fresh-server.ts'
import { type Client, must } from '../rig/two-clients.ts'

/** One gibibyte; large enough that no part of the way holds it whole. */
const BIG_MIB = 1024

type Auth = 'basic' | 'custom'

interface Backend {
  name: string
  env: () => Promise<Record<string, string>>
}

const backends: Backend[] = [
  { name: 'the embedded default', env: () => Promise.resolve({}) },
  { name: 'Postgres, S3 and Redis', env: freshBackends },
]

describe.each(backends)('two workstations and one server on $name', ({ name, env }) => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'cairn-compat-'))
  const stations: Workstation[] = []
  /** What moving took, for whoever reads the run. */
  const figures: string[] = []
  let server: Awaited<ReturnType<typeof startFreshServer>>
  let proxy: CountingProxy

  beforeAll(async () => {
    server = await startFreshServer({ home, env: await env() })
    proxy = await startCountingProxy(server.url)
  })
  afterAll(async () => {
    await proxy.close()
    await server.stop()
    for (const station of stations) station.remove()
    process.stdout.write(`On ${name}:\n${figures.map((line) => `  ${line}\n`).join('')}`)
    rmSync(home, { recursive: true, force: true })
  })

  async function measured(what: string, client: Client, station: Workstation, ...args: string[]) {
    proxy.reset()
    const done = await must(client, station, ...args)
    const moved = `${proxy.requests.length} requests, ${megabytes(proxy.sent)} up, ${megabytes(proxy.received)} down`
    figures.push(`${what}: ${client} ${args[0]} ${(done.milliseconds / 1000).toFixed(2)} s, ${moved}`)
    return done
  }

  async function newProject(slug: string): Promise<string> {
    const answer = await fetch(`${server.url}/api/v1/projects`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ slug }),
    })
    expect(answer.status).toBe(201)
    return `${proxy.url}/dvc/${slug}`
  }

  async function startRepository(client: Client, slug: string, auth: Auth): Promise<Workstation> {
    const station = createWorkstation()
    stations.push(station)
    station.git('init', '-q', '-b', 'main')
    await must(client, station, 'init')
    await must(client, station, 'remote', 'add', '-d', 'origin', await newProject(slug))
    await authorize(client, station, auth)
    return station
  }

  async function authorize(client: Client, station: Workstation, auth: Auth): Promise<void> {
    const options: Array<[string, string, boolean]> =
      auth === 'basic'
        ? [
            ['auth', 'basic', false],
            ['user', 'anybody', false],
            ['password', server.adminToken, true],
          ]
        : [
            ['auth', 'custom', false],
            ['custom_auth_header', 'Authorization', false],
            ['password', `Bearer ${server.adminToken}`, true],
          ]
    for (const [key, value, local] of options)
      await must(client, station, 'remote', 'modify', ...(local ? ['--local'] : []), 'origin', key, value)
  }

  async function cloneOf(from: Workstation, client: Client, auth: Auth): Promise<Workstation> {
    from.git('add', '-A')
    from.git('commit', '-qm', 'data')
    const station = createWorkstation()
    stations.push(station)
    station.git('clone', '-q', from.dir, path.join(station.home, 'clone'))
    const clone = station.at(path.join(station.home, 'clone'))
    await authorize(client, clone, auth)
    return clone
  }

  const pairs: Array<[Client, Client, Auth]> = [
    ['cairn', 'dvc', 'custom'],
    ['dvc', 'cairn', 'basic'],
  ]

  test.each(pairs)('what %s pushes, %s pulls: 10,000 files (%s)', async (pusher, puller, auth) => {
    const station = await startRepository(pusher, `small-${pusher}`, auth)
    writeSmallFiles(path.join(station.dir, 'data'), { count: 10_000, seed: 3 })
    await must(pusher, station, 'add', 'data')
    expect((await measured('10,000 files', pusher, station, 'push')).stdout).toMatch(/10001 files pushed/)
    const clone = await cloneOf(station, puller, auth)
    await measured('10,000 files', puller, clone, 'pull', '-j', '16')
    expect(folderDigest(path.join(clone.dir, 'data'))).toBe(folderDigest(path.join(station.dir, 'data')))
    expect((await must(puller, clone, 'status')).stdout).toMatch(/up to date/)
  })

  test('the second push of the same data asks a handful of questions and sends nothing', async () => {
    const station = await startRepository('cairn', 'again', 'custom')
    writeSmallFiles(path.join(station.dir, 'data'), { count: 2000, seed: 4 })
    await must('cairn', station, 'add', 'data')
    await must('cairn', station, 'push')
    expect((await measured('2,000 files again', 'cairn', station, 'push')).stdout).toMatch(/Everything is up to date/)
    expect(proxy.requests.length).toBeLessThanOrEqual(3)
    expect(proxy.sent).toBeLessThan(1000)
    const clone = await cloneOf(station, 'dvc', 'custom')
    await must('dvc', clone, 'pull', '-j', '16')
    await measured('2,000 files again', 'dvc', clone, 'push')
    expect(proxy.requests.filter((request) => request.startsWith('POST') || request.startsWith('PUT'))).toEqual([])
  })

  test.each(pairs)('what %s pushes, %s pulls: one file of 1 GiB (%s)', async (pusher, puller, auth) => {
    const station = await startRepository(pusher, `big-${pusher}`, auth)
    mkdirSync(path.join(station.dir, 'data'))
    writeBig(path.join(station.dir, 'data/big.bin'))
    writeFileSync(path.join(station.dir, 'data/empty'), '')
    await must(pusher, station, 'add', 'data')
    await measured('1 GiB', pusher, station, 'push')
    const clone = await cloneOf(station, puller, auth)
    await measured('1 GiB', puller, clone, 'pull')
    const same = await run('cmp', [path.join(station.dir, 'data/big.bin'), path.join(clone.dir, 'data/big.bin')], {
      cwd: clone.dir,
    })
    expect(same.code).toBe(0)
    while (stations.length) stations.pop()?.remove()
  })
})

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

function writeBig(file: string): void {
  const out = openSync(file, 'w')
  const block = randomBlock(seeded(99), 1024 * 1024)
  for (let index = 0; index < BIG_MIB; index++) {
    block.writeUInt32LE(index, 0)
    writeSync(out, block)
  }
  closeSync(out)
}
