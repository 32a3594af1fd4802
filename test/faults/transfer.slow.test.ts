import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Digest } from '@cairn/protocol/digest'
import { localTree } from '../../client-cli/src/remote/outgoing.ts'
import type { Remote } from '../../client-cli/src/remote/remote.ts'
import { openCairn } from '../rig/cairn-remote.ts'
import { startFaultProxy, type FaultProxy } from '../rig/fault-proxy.ts'
import { type FaultyLine, openFaultyLine } from '../rig/faulty-line.ts'
import { randomBlock, seeded } from '../rig/images.ts'
import { createWorkstation, folderDigest, type Workstation } from '../rig/project.ts'
import { digestOf, type ServerProcess, startServerProcess, startTestServer, type TestServer } from '../rig/server.ts'
import { createStockedCache, quietly, type StockedCache } from '../rig/stocked-cache.ts'

/** 6 MB in 60 files, and one of 8 MB. */
function writeData(dir: string): void {
  const random = seeded(11)
  mkdirSync(path.join(dir, 'sub'), { recursive: true })
  for (let index = 0; index < 60; index++)
    writeFileSync(path.join(dir, index % 2 ? 'sub' : '.', `f${index}`), randomBlock(random, 100_000))
  writeFileSync(path.join(dir, 'large'), randomBlock(random, 8_000_000))
}

describe('a server that dies', () => {
  let server: ServerProcess
  let station: Workstation

  beforeAll(async () => {
    server = await startServerProcess()
  })
  afterAll(() => server?.remove())
  beforeEach(() => {
    station = createWorkstation({ env: { CAIRN_TOKEN: server.adminToken ?? '' } })
  })
  afterEach(() => station.remove())

  const again = async () => {
    const { home, adminToken, url } = server
    server = await startServerProcess({ home, port: Number(new URL(url).port), ...(adminToken !== undefined && { adminToken }) })
  }

  const track = async (url: string) => {
    station.git('init', '-q')
    await station.cairn('init')
    writeData(path.join(station.dir, 'raw'))
    await station.cairn('run', '-f', 'data.dvc', '-o', 'data', 'cp -r raw data')
    await station.cairn('remote', 'add', '-d', 'origin', `${url}/dvc/default`)
  }

  test('killed in mid push and started again, it gets the rest of that very push', async () => {
    const proxy = await startFaultProxy(server.url)
    try {
      await track(proxy.url)
      let restarted: Promise<void> | undefined
      proxy.faults.onUp = (total) => {
        if (total < 3_000_000 || restarted) return undefined
        restarted = server.stop('SIGKILL').then(again)
        return 'cut'
      }
      const pushed = await station.cairn('push')
      expect(restarted).toBeDefined()
      await restarted
      expect(pushed.stdout).toContain('62 files pushed')
      expect((await station.cairn('push')).stdout).toContain('Everything is up to date.')
      await expectWholePull(station, server)
    } finally {
      await proxy.stop()
    }
  })

  test('killed for good, it fails the push, and the next push completes it', async () => {
    const stocked = createStockedCache()
    const proxy = await startFaultProxy(server.url)
    try {
      const files = Object.fromEntries(
        Array.from({ length: 60 }, (_, index) => [`f${index}`, stocked.file(randomBlock(seeded(100 + index), 100_000))]),
      )
      const tree = stocked.tree(files)
      const impatient = await openCairn({
        url: `${proxy.url}/dvc/default`,
        token: server.adminToken ?? '',
        cache: stocked.cache,
        patienceSeconds: 1,
      })
      proxy.faults.onUp = (total) => {
        if (total < 2_000_000) return undefined
        void server.stop('SIGKILL')
        return 'cut'
      }
      await expect(impatient.push([localTree(stocked.cache, tree)], [], quietly())).rejects.toMatchObject({
        code: 'UNREACHABLE',
        exit: 1,
      })
      proxy.faults.onUp = undefined
      await server.stop('SIGKILL')
      await again()
      expect((await impatient.findMissing([tree], quietly())).has(tree)).toBe(true)
      expect(await impatient.push([localTree(stocked.cache, tree)], [], quietly())).toMatchObject({ failed: [] })
      expect((await impatient.findMissing([tree], quietly())).size).toBe(0)
      await impatient.close()
    } finally {
      await proxy.stop()
      stocked.remove()
    }
  })

  test('a client that is killed in mid pull completes with the next pull', async () => {
    const proxy = await startFaultProxy(server.url)
    const clone = path.join(station.home, 'clone')
    try {
      await track(server.url)
      await station.cairn('push')
      await station.cairn('remote', 'modify', 'origin', 'url', `${proxy.url}/dvc/default`)
      station.git('add', '-A', 'data.dvc', '.dvc', '.gitignore')
      station.git('commit', '-qm', 'Data')
      station.git('clone', '-q', station.dir, clone)

      let killed = false
      const { child, ended } = station.at(clone).start('pull')
      proxy.faults.onDown = (_, chunk, total) => {
        if (total > 4_000_000 && !killed) killed = child.kill('SIGKILL')
        return chunk
      }
      await ended
      expect(killed).toBe(true)
      expect(existsSync(path.join(clone, 'data/large'))).toBe(false)
      proxy.faults.onDown = undefined

      await station.at(clone).cairn('pull')
      expect(folderDigest(path.join(clone, 'data'))).toBe(folderDigest(path.join(station.dir, 'raw')))
    } finally {
      await proxy.stop()
    }
  })
})

/** A fresh clone elsewhere gets the very bytes. */
async function expectWholePull(from: Workstation, server: ServerProcess): Promise<void> {
  const clone = path.join(from.home, 'whole')
  from.git('add', '-A', 'data.dvc', '.dvc', '.gitignore')
  from.git('commit', '-qm', 'Data')
  from.git('clone', '-q', from.dir, clone)
  const other = from.at(clone)
  await other.cairn('remote', 'modify', 'origin', 'url', `${server.url}/dvc/default`)
  await other.cairn('pull')
  expect(folderDigest(path.join(clone, 'data'))).toBe(folderDigest(path.join(from.dir, 'raw')))
}

describe('a line that is bad', () => {
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

  const fetchAll = async (digests: readonly Digest[]) => remote.fetch(digests, theirs.cache, quietly())

  test('a body damaged on the way never enters the cache: it is asked for again', async () => {
    const files = Array.from({ length: 20 }, (_, index) => mine.file(randomBlock(seeded(index), 5000)))
    await remote.push([], files, quietly())
    let flipped = 0
    proxy.faults.onDown = (line, chunk) => {
      if (!line.includes('objects/fetch') || flipped > 0 || chunk.length < 1000) return chunk
      flipped++
      const copy = Buffer.from(chunk)
      const at = copy.length >> 1
      copy[at] = (copy[at] ?? 0) ^ 0xff
      return copy
    }
    const result = await fetchAll(files)
    expect(flipped).toBe(1)
    expect(result.failed).toEqual([])
    for (const digest of files) expect(theirs.read(digest).equals(mine.read(digest))).toBe(true)
  })

  test('one that damages everything stores nothing and fails by name', async () => {
    const file = mine.file('x'.repeat(5000))
    await remote.push([], [file], quietly())
    proxy.faults.onDown = (line, chunk) => {
      const copy = Buffer.from(chunk)
      const at = copy.indexOf('xxxx')
      if (at >= 0) copy[at] = 0
      return copy
    }
    const { failed } = await fetchAll([file])
    expect(failed).toMatchObject([{ digest: file, reason: 'damaged' }])
    expect(theirs.cache.has(file)).toBe(false)
  })

  test('a pack that breaks off goes on with what is still missing', async () => {
    const files = Array.from({ length: 40 }, (_, index) => mine.file(randomBlock(seeded(200 + index), 50_000)))
    await remote.push([], files, quietly())
    let cuts = 0
    let sinceCut = 0
    proxy.faults.onDown = (line, chunk) => {
      sinceCut += chunk.length
      if (!line.includes('objects/fetch') || cuts >= 3 || sinceCut < 500_000) return chunk
      cuts++
      sinceCut = 0
      return 'cut'
    }
    await fetchAll(files)
    expect(cuts).toBe(3)
    expect(theirs.cache.missing(files)).toEqual([])
    // The whole twice would be 4 MB.
    expect(proxy.down).toBeLessThan(3_500_000)
  })

  test('a large object that breaks off goes on where it was', async () => {
    const large = mine.file(randomBlock(seeded(5), 9_000_000))
    await remote.push([], [large], quietly())
    let cuts = 0
    let sinceCut = 0
    proxy.faults.onDown = (line, chunk) => {
      sinceCut += chunk.length
      if (!line.startsWith('GET') || cuts >= 2 || sinceCut < 3_000_000) return chunk
      cuts++
      sinceCut = 0
      return 'cut'
    }
    await fetchAll([large])
    expect(cuts).toBe(2)
    expect(theirs.read(large).equals(mine.read(large))).toBe(true)
    expect(proxy.down).toBeLessThan(12_000_000)
  })

  test('uploads that are cut or answered with 503 are sent again', async () => {
    const [small, large] = [mine.file('small'), mine.file(randomBlock(seeded(6), 3_000_000))]
    const tree = mine.tree({ small, large })
    const refused = new Set<string>()
    let cut = false
    proxy.faults.onRequest = (line) => {
      const kind = line.replace(/\?.*/, '')
      if (refused.has(kind)) return 'pass'
      refused.add(kind)
      return 503
    }
    proxy.faults.onUp = (total) => {
      if (cut || total < 1_000_000) return undefined
      cut = true
      return 'cut'
    }
    const result = await remote.push([localTree(mine.cache, tree)], [], quietly())
    expect(result).toMatchObject({ pushed: 3, failed: [] })
    expect(cut).toBe(true)
    expect((await remote.findMissing([tree], quietly())).size).toBe(0)
  })
})

describe('a server that is gone for some seconds', () => {
  let server: TestServer
  let line: FaultyLine
  let proxy: FaultProxy
  let mine: StockedCache
  let theirs: StockedCache
  let remote: Remote
  let files: Digest[]
  let seed = 900
  let waits: string[]

  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server?.stop())
  beforeEach(async () => {
    line = await openFaultyLine(server)
    ;({ proxy, mine, theirs, remote } = line)
    files = Array.from({ length: 60 }, () => mine.file(randomBlock(seeded(seed++), 50_000)))
    waits = []
  })
  afterEach(() => line.close())

  const listening = (signal?: AbortSignal) =>
    quietly({
      report: (event) => event.type === 'progress' && event.waiting !== undefined && waits.push(event.waiting),
      ...(signal && { signal }),
    })
  /** From the first cut on nothing gets through for a while; `for ever` with Infinity. */
  const goAway = (milliseconds: number) => {
    let until: number | undefined
    proxy.faults.onRequest = () => (until !== undefined && performance.now() < until ? 'cut' : 'pass')
    return () => {
      if (until !== undefined) return undefined
      until = performance.now() + milliseconds
      return 'cut' as const
    }
  }

  test('gets the push when it is back, and a person is told meanwhile', async () => {
    const cut = goAway(2500)
    proxy.faults.onUp = (total) => (total > 1_000_000 ? cut() : undefined)
    expect(await remote.push([], files, listening())).toMatchObject({ pushed: 60, failed: [] })
    expect(waits.length).toBeGreaterThan(2)
    expect(waits[0]).toMatch(/^waiting for the server \(retry in [\d.]+ s\)$/)
    expect((await remote.findMissing(files, quietly())).size).toBe(0)
  })

  test('gives what is still missing of a pull when it is back', async () => {
    await remote.push([], files, quietly())
    const cut = goAway(2500)
    proxy.faults.onDown = (_, chunk, total) => (total > 1_000_000 ? (cut() ?? chunk) : chunk)
    expect(await remote.fetch(files, theirs.cache, listening())).toMatchObject({ failed: [] })
    expect(waits.length).toBeGreaterThan(2)
    expect(theirs.cache.missing(files)).toEqual([])
    // All of it twice would be 6 MB.
    expect(proxy.down).toBeLessThan(4_500_000)
  })

  test('is not waited for after Ctrl-C', async () => {
    const stop = new AbortController()
    const cut = goAway(Number.POSITIVE_INFINITY)
    proxy.faults.onUp = (total) => {
      if (total < 1_000_000) return undefined
      setTimeout(() => stop.abort(), 1000)
      return cut()
    }
    const start = performance.now()
    await expect(remote.push([], files, listening(stop.signal))).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(performance.now() - start).toBeLessThan(3000)
  })

  test('a token that is refused in mid push ends it at once', async () => {
    const refusals = { count: 0 }
    proxy.faults.onRequest = (line) => {
      if (!line.includes('/packs')) return 'pass'
      refusals.count++
      return 403
    }
    await expect(remote.push([], files, listening())).rejects.toMatchObject({ code: 'FORBIDDEN', exit: 1 })
    expect(refusals.count).toBe(1)
    expect(waits).toEqual([])
  })
})

describe('what is wrong is said in one line', () => {
  let server: TestServer
  let station: Workstation

  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server?.stop())
  beforeEach(async () => {
    station = createWorkstation()
    station.git('init', '-q')
    await station.cairn('init')
    await station.cairn('run', '-f', 'file.dvc', '-o', 'file', 'printf hello > file')
    await station.cairn('remote', 'add', '-d', 'origin', `${server.url}/dvc/demo`)
  })
  afterEach(() => station.remove())

  const push = (token?: string) => {
    if (token !== undefined) station.env['CAIRN_TOKEN'] = token
    return station.tryCairn('push')
  }

  test('without a token', async () => {
    const { code, stderr } = await push()
    expect(code).toBe(1)
    expect(stderr).toMatch(/^ERROR: failed to push data to the cloud - .*token/)
    expect(stderr).toContain('cairn login')
  })

  test('with an expired token', async () => {
    const token = await server.token(['read', 'write'], ['demo'], 1)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const { code, stderr } = await push(token)
    expect(code).toBe(1)
    expect(stderr).toContain('expired')
    expect(stderr).toContain('CAIRN_TOKEN')
    expect(stderr).not.toContain(token)
  })

  test('with a revoked token', async () => {
    const token = await server.token(['read', 'write'], ['demo'])
    const whoami = (await (await server.ask('GET', '/api/v1/whoami', { token })).json()) as { token: { id: string } }
    await server.ask('DELETE', `/api/v1/tokens/${whoami.token.id}`)
    const { code, stderr } = await push(token)
    expect(code).toBe(1)
    expect(stderr).toContain('revoked')
  })

  test('with a forged token', async () => {
    const [head, body] = (await server.token(['admin'])).split('.')
    const forged = `${head}.${body}.${'A'.repeat(43)}`
    const { code, stderr } = await push(forged)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^ERROR: failed to push data to the cloud - .*token.*\n.*CAIRN_TOKEN.*\n$/)
    expect(stderr).not.toContain(forged)
    expect((await server.ask('HEAD', `/api/v1/projects/demo/objects/${digestOf('hello')}`)).status).toBe(404)
  })

  test('with a token that may only read', async () => {
    const { code, stderr } = await push(await server.token(['read'], ['demo']))
    expect(code).toBe(1)
    expect(stderr).toMatch(/write/)
  })

  test('when nothing listens there', async () => {
    await station.cairn('remote', 'modify', 'origin', 'url', 'http://127.0.0.1:9/dvc/demo')
    const { code, stderr, milliseconds } = await push('token')
    expect(code).toBe(1)
    expect(stderr).toMatch(/cannot reach http:\/\/127\.0\.0\.1:9.*refused/)
    expect(stderr).toContain('cairn remote list')
    expect(milliseconds).toBeLessThan(15_000)
  })
})
