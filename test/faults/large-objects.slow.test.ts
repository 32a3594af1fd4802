import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Remote } from '../../client-cli/src/remote/remote.ts'
import { startFaultProxy, type FaultProxy } from '../rig/fault-proxy.ts'
import { type FaultyLine, openFaultyLine } from '../rig/faulty-line.ts'
import { randomBlock, seeded } from '../rig/images.ts'
import { createWorkstation, type Workstation } from '../rig/project.ts'
import { digestOf, type ServerProcess, startServerProcess, startTestServer, type TestServer } from '../rig/server.ts'
import { quietly, type StockedCache } from '../rig/stocked-cache.ts'

const MIB = 1 << 20
const SIZE = 64 * MIB
/** What may move after a kill at nine tenths: the rest, and what was on its way to a disk that is slow at the moment. */
const REST = SIZE / 2

describe('a large file', { timeout: 90_000 }, () => {
  let server: ServerProcess
  let station: Workstation
  let proxy: FaultProxy

  beforeAll(async () => {
    server = await startServerProcess()
  })
  afterAll(() => server?.remove())
  beforeEach(async () => {
    station = createWorkstation({ env: { CAIRN_TOKEN: server.adminToken ?? '' } })
    proxy = await startFaultProxy(server.url)
  })
  afterEach(async () => {
    await proxy.stop()
    station.remove()
  })

  const track = async (seed: number) => {
    station.git('init', '-q')
    await station.cairn('init')
    writeFileSync(path.join(station.dir, 'large'), randomBlock(seeded(seed), SIZE))
    await station.cairn('add', 'large')
    await station.cairn('remote', 'add', '-d', 'origin', `${proxy.url}/dvc/default`)
  }
  const clone = (): Workstation => {
    const dir = path.join(station.home, 'clone')
    station.git('add', '-A')
    station.git('commit', '-qm', 'A large file')
    station.git('clone', '-q', station.dir, dir)
    return station.at(dir)
  }
  const expectSame = (other: Workstation) =>
    expect(readFileSync(path.join(other.dir, 'large')).equals(readFileSync(path.join(station.dir, 'large')))).toBe(true)
  /** Starts a command; `killed` tells whether `kill` ended it. */
  const start = (at: Workstation, ...args: string[]) => {
    const { child, ended } = at.start(...args)
    let killed = false
    return { ended: ended.then(() => killed), kill: () => void (killed ||= child.kill('SIGKILL')) }
  }

  test('whose push was killed at nine tenths goes up with the rest only', async () => {
    await track(1)
    const first = start(station, 'push')
    proxy.faults.onUp = (total) => {
      if (total > 0.9 * SIZE) first.kill()
      return undefined
    }
    expect(await first.ended).toBe(true)
    proxy.faults.onUp = undefined
    proxy.up = 0
    expect((await station.cairn('push')).stdout).toContain('1 file pushed')
    expect(proxy.up).toBeGreaterThan(0)
    expect(proxy.up).toBeLessThan(REST)
    const other = clone()
    await other.cairn('pull')
    expectSame(other)
  })

  test('whose pull was killed at nine tenths comes down with the rest only', async () => {
    await track(2)
    await station.cairn('push')
    const other = clone()
    const first = start(other, 'pull')
    proxy.down = 0
    proxy.faults.onDown = (_, chunk, total) => {
      if (total > 0.9 * SIZE) first.kill()
      return chunk
    }
    expect(await first.ended).toBe(true)
    proxy.faults.onDown = undefined
    proxy.down = 0
    await other.cairn('pull')
    expect(proxy.down).toBeGreaterThan(0)
    expect(proxy.down).toBeLessThan(REST)
    expectSame(other)
  })

  test('goes on with the very push under which the server was killed and started again', async () => {
    await track(3)
    let restarted: Promise<void> | undefined
    proxy.faults.onUp = (total) => {
      if (total < SIZE / 2 || restarted) return undefined
      const { home, adminToken, url } = server
      restarted = server.stop('SIGKILL').then(async () => {
        server = await startServerProcess({
          home,
          port: Number(new URL(url).port),
          ...(adminToken !== undefined && { adminToken }),
        })
      })
      return 'cut'
    }
    const pushed = await station.cairn('push')
    await restarted
    expect(restarted).toBeDefined()
    expect(pushed.stdout).toContain('1 file pushed')
    expect(proxy.up).toBeLessThan(SIZE + REST)
    const other = clone()
    await other.cairn('pull')
    expectSame(other)
  })
})

describe('a line that breaks under a large object', { timeout: 90_000 }, () => {
  let server: TestServer
  let line: FaultyLine
  let proxy: FaultProxy
  let mine: StockedCache
  let theirs: StockedCache
  let remote: Remote

  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server?.stop())
  beforeEach(async () => {
    line = await openFaultyLine(server)
    ;({ proxy, mine, theirs, remote } = line)
  })
  afterEach(() => line.close())

  const fetchInto = async (digest: Parameters<Remote['fetch']>[0][number]) =>
    await remote.fetch([digest], theirs.cache, quietly())

  test('costs a part and not the push, as often as it breaks', async () => {
    const large = mine.file(randomBlock(seeded(4), 40 * MIB))
    let since = 0
    let cuts = 0
    let last = 0
    proxy.faults.onUp = (total) => {
      since += total - last
      last = total
      if (since < 7 * MIB || cuts >= 4) return undefined
      cuts++
      since = 0
      return 'cut'
    }
    expect(await remote.push([], [large], quietly())).toMatchObject({ pushed: 1, failed: [] })
    expect(cuts).toBe(4)
    expect(proxy.up).toBeLessThan(40 * MIB + 4 * 16 * MIB)
    await fetchInto(large)
    expect(theirs.read(large).equals(mine.read(large))).toBe(true)
  })

  test('costs what was on its way and not the fetch', async () => {
    const large = mine.file(randomBlock(seeded(5), 40 * MIB))
    await remote.push([], [large], quietly())
    let since = 0
    let cuts = 0
    proxy.faults.onDown = (line, chunk) => {
      since += chunk.length
      if (!line.startsWith('GET') || since < 6 * MIB || cuts >= 5) return chunk
      cuts++
      since = 0
      return 'cut'
    }
    proxy.down = 0
    expect(await fetchInto(large)).toMatchObject({ failed: [] })
    expect(cuts).toBe(5)
    expect(proxy.down).toBeLessThan(44 * MIB)
    expect(theirs.read(large).equals(mine.read(large))).toBe(true)
  })

  test('bytes that were damaged on the way are fetched again, whole', async () => {
    const large = mine.file(randomBlock(seeded(6), 20 * MIB))
    await remote.push([], [large], quietly())
    let damaged = 0
    proxy.faults.onDown = (line, chunk) => {
      if (damaged++ > 0 || !line.startsWith('GET')) return chunk
      return Buffer.alloc(chunk.length, 1)
    }
    expect(await fetchInto(large)).toMatchObject({ failed: [] })
    expect(theirs.read(large).equals(mine.read(large))).toBe(true)
  })

  test('an object that is damaged in the cache is not taken in', async () => {
    const bytes = randomBlock(seeded(7), 20 * MIB)
    const large = mine.file(bytes)
    mine.damage(large)
    const result = await remote.push([], [large], quietly())
    expect(result.failed).toHaveLength(1)
    expect((await remote.findMissing([digestOf(bytes)], quietly())).size).toBe(1)
  })
})
