import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCountingProxy, type CountingProxy } from '../rig/counting-proxy.ts'
import { startFaultProxy, type FaultProxy } from '../rig/fault-proxy.ts'
import { startFreshServer } from '../rig/fresh-server.ts'
import { randomBlock, seeded, writeSmallFiles } from '../rig/images.ts'
import { createWorkstation, folderDigest, ROOT, run, type Workstation } from '../rig/project.ts'
import { startPlainHttpRemote } from '../rig/plain-http-remote.ts'
import { realParts } from '../rig/real-parts.ts'

/** A Python environment that has stock dvc and the package, installed as its README says. */
function installPackage(dir: string): string {
  const python = path.join(path.dirname(realParts().dvc), 'python')
  execFileSync(python, ['-m', 'venv', dir])
  const sitePackages = (prefix: string): string => {
    const [version = ''] = readdirSync(path.join(prefix, 'lib')).filter((name) => name.startsWith('python3'))
    return path.join(prefix, 'lib', version, 'site-packages')
  }
  writeFileSync(path.join(sitePackages(dir), 'zz-dvc.pth'), sitePackages(path.resolve(path.dirname(python), '..')))
  execFileSync(path.join(dir, 'bin/pip'), ['install', '-q', '--no-deps', path.join(ROOT, 'clients/python')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return path.join(dir, 'bin/python')
}

describe('stock dvc with dvc-cairn installed', () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'cairn-python-'))
  const stations: Workstation[] = []
  let python: string
  let server: Awaited<ReturnType<typeof startFreshServer>>
  let proxy: CountingProxy
  let faults: FaultProxy

  beforeAll(async () => {
    python = installPackage(path.join(home, 'venv'))
    server = await startFreshServer({ home: path.join(home, 'server') })
    proxy = await startCountingProxy(server.url)
    faults = await startFaultProxy(server.url)
  }, 180_000)
  afterAll(async () => {
    await proxy.close()
    await faults.stop()
    await server.stop()
    for (const station of stations) station.remove()
    rmSync(home, { recursive: true, force: true })
  })

  const fast = (station: Workstation, ...args: string[]) =>
    run(python, ['-m', 'dvc', ...args], { cwd: station.dir, env: station.env })
  const plain = (station: Workstation, ...args: string[]) => run(realParts().dvc, args, { cwd: station.dir, env: station.env })

  async function must(work: ReturnType<typeof run>) {
    const done = await work
    expect(done, `${done.stdout}\n${done.stderr}`).toHaveProperty('code', 0)
    return done
  }

  let projects = 0
  async function startRepository(origin: string, token = server.adminToken): Promise<Workstation> {
    const slug = `python-${projects++}`
    const created = await fetch(`${server.url}/api/v1/projects`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ slug }),
    })
    expect(created.status).toBe(201)
    const station = createWorkstation()
    stations.push(station)
    station.git('init', '-q')
    await must(plain(station, 'init'))
    await must(plain(station, 'remote', 'add', '-d', 'origin', `${origin}/dvc/${slug}`))
    await authorize(station, token)
    return station
  }

  async function authorize(station: Workstation, token = server.adminToken): Promise<void> {
    for (const [key, value] of [
      ['auth', 'custom'],
      ['custom_auth_header', 'Authorization'],
      ['password', `Bearer ${token}`],
    ] as const)
      await must(plain(station, 'remote', 'modify', '--local', 'origin', key, value))
  }

  async function cloneOf(station: Workstation): Promise<Workstation> {
    station.git('add', '-A')
    station.git('commit', '-q', '--allow-empty', '-m', 'data')
    const other = createWorkstation()
    stations.push(other)
    other.git('clone', '-q', station.dir, path.join(other.home, 'clone'))
    const clone = other.at(path.join(other.home, 'clone'))
    await authorize(clone)
    return clone
  }

  test('the run cache goes to the server and comes from it, to and from cairn too', async () => {
    const station = await startRepository(proxy.url)
    const stage = ['stage', 'add', '-n', 'sort', '-d', 'words', '-o', 'sorted', 'sort words > sorted']
    const withWords = (at: Workstation, words: string) => writeFileSync(path.join(at.dir, 'words'), words)
    const runs = (at: Workstation) => folderDigest(path.join(at.dir, '.dvc/cache/runs'))
    withWords(station, 'b\na\n')
    await must(plain(station, ...stage))
    await must(plain(station, 'repro'))
    expect((await must(plain(station, 'push', '--run-cache'))).stdout).toMatch(/^1 file pushed/m)
    expect((await must(fast(station, 'push', '--run-cache'))).stdout).toMatch(/^1 file pushed/m)
    expect((await must(fast(station, 'push', '--run-cache'))).stdout).toMatch(/Everything is up to date/)
    withWords(station, 'd\nc\n')
    await must(station.tryCairn('repro'))
    await must(station.tryCairn('push', '--run-cache'))

    const [ours, theirs] = [await cloneOf(station), await cloneOf(station)]
    await must(ours.tryCairn('fetch', '--run-cache'))
    await must(fast(theirs, 'fetch', '--run-cache'))
    expect(runs(ours)).toBe(runs(station))
    expect(runs(theirs)).toBe(runs(station))
    const [again, fresh] = [await cloneOf(station), await cloneOf(station)]
    for (const at of [again, fresh]) withWords(at, 'b\na\n')
    expect((await must(fast(again, 'repro', '--pull'))).stdout).toContain("Stage 'sort' is cached - skipping run")
    expect((await must(fresh.tryCairn('repro', '--pull'))).stdout).toContain("Stage 'sort' is cached - skipping run")
  })

  test('5,000 files go and come in a few requests, and plain dvc pulls the same bytes', async () => {
    const station = await startRepository(proxy.url)
    writeSmallFiles(path.join(station.dir, 'data'), { count: 5000, seed: 11 })
    await must(fast(station, 'add', 'data'))
    proxy.reset()
    expect((await must(fast(station, 'push'))).stdout).toMatch(/5001 files pushed/)
    expect(proxy.requests.length, proxy.requests.join('\n')).toBeLessThanOrEqual(15)
    proxy.reset()
    expect((await must(fast(station, 'push'))).stdout).toMatch(/Everything is up to date/)
    expect(proxy.requests.length, proxy.requests.join('\n')).toBeLessThanOrEqual(5)

    const clone = await cloneOf(station)
    proxy.reset()
    await must(fast(clone, 'pull'))
    expect(proxy.requests.length, proxy.requests.join('\n')).toBeLessThanOrEqual(20)
    expect(folderDigest(path.join(clone.dir, 'data'))).toBe(folderDigest(path.join(station.dir, 'data')))
    expect((await must(fast(clone, 'status', '-c'))).stdout).toMatch(/in sync/)
    const other = await cloneOf(clone)
    await must(plain(other, 'pull', '-j', '16'))
    expect(folderDigest(path.join(other.dir, 'data'))).toBe(folderDigest(path.join(station.dir, 'data')))
  })

  test('what plain dvc pushed, it pulls; what changed since, it pushes alone', async () => {
    const station = await startRepository(proxy.url)
    writeSmallFiles(path.join(station.dir, 'data'), { count: 300, seed: 12 })
    await must(plain(station, 'add', 'data'))
    await must(plain(station, 'push', '-j', '16'))
    const clone = await cloneOf(station)
    await must(fast(clone, 'pull'))
    expect(folderDigest(path.join(clone.dir, 'data'))).toBe(folderDigest(path.join(station.dir, 'data')))
    writeFileSync(path.join(clone.dir, 'data/new one'), 'new')
    await must(fast(clone, 'add', 'data'))
    proxy.reset()
    expect((await must(fast(clone, 'push'))).stdout).toMatch(/2 files pushed/)
    expect(proxy.sent).toBeLessThan(64 * 1024)
  })

  test('a large file goes and comes, over connections that break in the middle', async () => {
    const station = await startRepository(faults.url)
    writeFileSync(path.join(station.dir, 'model'), randomBlock(seeded(5), 48 * 1024 * 1024))
    await must(fast(station, 'add', 'model'))
    let cuts = 0
    faults.faults.onUp = (total) => (total > 20e6 && cuts++ === 0 ? 'cut' : undefined)
    await must(fast(station, 'push'))
    expect(cuts).toBeGreaterThan(0)
    faults.faults = {}

    const clone = await cloneOf(station)
    let breaks = 0
    faults.down = 0
    faults.faults.onDown = (_line, chunk, total) => (total > 20e6 && breaks++ === 0 ? 'cut' : chunk)
    await must(fast(clone, 'pull'))
    expect(breaks).toBeGreaterThan(0)
    expect(faults.down).toBeLessThan(60e6)
    faults.faults = {}
    expect((await run('cmp', [path.join(station.dir, 'model'), path.join(clone.dir, 'model')], { cwd: home })).code).toBe(0)
  })

  test('bytes that were changed on the way never reach the cache', async () => {
    const station = await startRepository(faults.url)
    writeFileSync(path.join(station.dir, 'model'), randomBlock(seeded(6), 6 * 1024 * 1024))
    await must(fast(station, 'add', 'model'))
    await must(fast(station, 'push'))
    const clone = await cloneOf(station)
    faults.faults.onDown = (line, chunk) => {
      if (line.startsWith('GET') && line.includes('/objects/')) chunk[chunk.length >> 1] = (chunk[chunk.length >> 1] ?? 0) ^ 1
      return chunk
    }
    const done = await fast(clone, 'pull')
    faults.faults = {}
    expect(done.code).not.toBe(0)
    expect(`${done.stderr}${done.stdout}`).toMatch(/do not hash to it/)
    await must(fast(clone, 'pull'))
  })

  test('a token without the right to write is refused in words', async () => {
    const made = await fetch(`${server.url}/api/v1/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'reader', projects: null, scopes: ['read'], expiresIn: 3600 }),
    })
    const { secret } = (await made.json()) as { secret: string }
    const station = await startRepository(proxy.url, secret)
    writeFileSync(path.join(station.dir, 'x'), 'x')
    await must(fast(station, 'add', 'x'))
    const done = await fast(station, 'push')
    expect(done.code).not.toBe(0)
    expect(done.stderr).toMatch(/403|scope/)
  })

  test('switched off, or with another server, dvc works as it always did', async () => {
    const station = await startRepository(proxy.url)
    mkdirSync(path.join(station.dir, 'data'))
    for (let index = 0; index < 20; index++) writeFileSync(path.join(station.dir, `data/${index}`), `${index}`)
    await must(fast(station, 'add', 'data'))
    proxy.reset()
    const off = { ...station.env, DVC_CAIRN: 'off' }
    await must(run(python, ['-m', 'dvc', 'push'], { cwd: station.dir, env: off }))
    expect(proxy.requests.filter((request) => request.startsWith('POST /dvc/')).length).toBe(21)

    const other = await startPlainHttpRemote({ dir: path.join(home, 'plain') })
    await must(plain(station, 'remote', 'add', 'other', other.url))
    await must(fast(station, 'push', '-r', 'other'))
    const clone = await cloneOf(station)
    await must(fast(clone, 'pull', '-r', 'other'))
    await other.stop()
  })
})
