import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { randomBlock, seeded, writeSmallFiles } from '../rig/images.ts'
import { createWorkstation, folderDigest, type Finished, type Workstation } from '../rig/project.ts'
import { type ServerProcess, startServerProcess } from '../rig/server.ts'
import { mountSmallDisk, type SmallDisk, whyNoSmallDisk } from '../rig/small-disk.ts'

const MIB = 1 << 20
const reason = whyNoSmallDisk()
if (reason !== undefined) process.stderr.write(`The tests of a full disk are skipped: ${reason}.\n`)

/** One line says what is wrong, a second one what to do. */
function expectFull(done: Finished): void {
  expect(done.code).not.toBe(0)
  expect(done.stderr.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^ERROR: .*(no space is left on the device of|disk of the (blob store|database) is full)/),
    expect.stringMatching(/[Ff]ree (some )?space/),
  ])
}

describe.skipIf(reason !== undefined)("on a workstation's full disk", () => {
  let disk: SmallDisk
  let station: Workstation
  const file = (name: string) => path.join(station.dir, name)
  const random = (mebibytes: number, seed: number) => randomBlock(seeded(seed), mebibytes * MIB)

  beforeEach(async () => {
    disk = mountSmallDisk(10)
    station = createWorkstation({ dir: path.join(disk.dir, 'project') })
    station.git('init', '-q')
    await station.cairn('init')
  })
  afterEach(() => {
    station.remove()
    disk.remove()
  })

  /** Nothing that was begun takes up room. */
  const expectNoDrafts = () => {
    const incoming = file('.dvc/tmp/cairn/incoming')
    expect(existsSync(incoming) ? readdirSync(incoming) : []).toEqual([])
    expect(
      readdirSync(station.dir).filter(
        (name) => name.startsWith('.') && !['.git', '.gitignore', '.dvc', '.dvcignore'].includes(name),
      ),
    ).toEqual([])
  }

  test('add keeps the data where it is and writes no stage file; with more room it goes well', async () => {
    const data = random(6, 1)
    writeFileSync(file('data.bin'), data)
    expectFull(await station.tryCairn('add', 'data.bin'))
    expect(readFileSync(file('data.bin')).equals(data)).toBe(true)
    expect([existsSync(file('data.bin.dvc')), existsSync(file('.gitignore'))]).toEqual([false, false])
    expectNoDrafts()
    disk.grow(20)
    await station.cairn('add', 'data.bin')
    expect((await station.cairn('status')).stdout).toContain('up to date')
    expect(readFileSync(file('data.bin')).equals(data)).toBe(true)
  })

  test('checkout keeps the version that stands there; with more room it goes well', async () => {
    const versions = [random(3, 2), random(3, 3)]
    for (const [index, bytes] of versions.entries()) {
      writeFileSync(file('data.bin'), bytes)
      await station.cairn('add', 'data.bin')
      station.git('add', '-A')
      station.git('commit', '-qm', `v${index}`)
      station.git('tag', `v${index}`)
    }
    station.git('checkout', '-q', 'v0')
    expectFull(await station.tryCairn('checkout'))
    expect(readFileSync(file('data.bin')).equals(versions[1] as Buffer)).toBe(true)
    expectNoDrafts()
    disk.grow(20)
    await station.cairn('checkout')
    expect(readFileSync(file('data.bin')).equals(versions[0] as Buffer)).toBe(true)
  })

  test('import-url of more than there is room for says so, and leaves nothing', async () => {
    const origin = createServer((_, answer) => answer.end(random(12, 3))).listen(0, '127.0.0.1')
    try {
      await once(origin, 'listening')
      const { port } = origin.address() as AddressInfo
      expectFull(await station.tryCairn('import-url', `http://127.0.0.1:${port}/large`, 'large'))
    } finally {
      origin.close()
    }
    expect([existsSync(file('large')), existsSync(file('large.dvc'))]).toEqual([false, false])
    expectNoDrafts()
  })

  test('with not a byte left, what edits a file of DVC leaves that file as it was', async () => {
    writeFileSync(file('in'), 'in\n')
    await station.cairn('run', '-f', 'copy.dvc', '-d', 'in', '-M', 'out', 'cp in out')
    const before = ['.dvc/config', 'copy.dvc', 'out'].map((name) => readFileSync(file(name), 'utf8'))
    disk.fill()
    for (const args of [
      ['remote', 'add', '-d', 'store', '/store'],
      ['metrics', 'modify', 'out', '--type', 'json'],
      ['add', 'in'],
    ]) {
      expectFull(await station.tryCairn(...args))
    }
    expect(['.dvc/config', 'copy.dvc', 'out'].map((name) => readFileSync(file(name), 'utf8'))).toEqual(before)
    expect(existsSync(file('in.dvc'))).toBe(false)
    expect((await station.cairn('status')).stdout).toContain('up to date')
    disk.empty()
    await station.cairn('remote', 'add', '-d', 'store', '/store')
  })
})

describe.skipIf(reason !== undefined)('between a workstation and a server', () => {
  let disk: SmallDisk
  let server: ServerProcess
  let station: Workstation

  beforeAll(async () => {
    disk = mountSmallDisk(300)
    const home = path.join(disk.dir, 'home')
    mkdirSync(home)
    server = await startServerProcess({ home })
  })
  afterAll(async () => {
    await server?.stop()
    disk?.remove()
  })
  beforeEach(async () => {
    station = createWorkstation({ env: { CAIRN_TOKEN: server.adminToken ?? '' } })
    station.git('init', '-q')
    await station.cairn('init')
    await station.cairn('remote', 'add', '-d', 'origin', `${server.url}/dvc/default`)
  })
  afterEach(() => {
    disk.empty()
    station.remove()
  })

  const track = async (seed: number) => {
    writeSmallFiles(path.join(station.dir, 'data'), { count: 1000, seed, min: 5000, max: 20_000 })
    await station.cairn('add', 'data')
    station.git('add', '-A')
    station.git('commit', '-qm', 'Data')
  }
  const clone = (dir: string) => {
    station.git('clone', '-q', station.dir, dir)
    return station.at(dir)
  }

  test('a push and a fetch do without what they would write to .dvc/tmp', async () => {
    await track(77)
    const frozen = mountSmallDisk(1)
    try {
      renameSync(path.join(station.dir, '.dvc/tmp'), path.join(station.home, 'tmp'))
      symlinkSync(frozen.dir, path.join(station.dir, '.dvc/tmp'))
      frozen.freeze()
      expect((await station.cairn('push')).stdout).toBe('1001 files pushed\n')
      renameSync(path.join(station.dir, '.dvc/cache'), path.join(station.home, 'cache'))
      expect((await station.cairn('fetch')).stdout).toBe('1001 files fetched\n')
      expect((await station.cairn('status', '-c')).stdout).toContain('in sync')
    } finally {
      frozen.remove()
    }
  })

  test.each([
    ['with a little room', 4 * MIB],
    ['with not a byte left', 0],
  ])("a push to the server's full disk %s fails at once; with room again the next one completes", async (name, leave) => {
    await track(leave + 1)
    disk.fill(leave)
    const pushed = await station.tryCairn('push')
    expectFull(pushed)
    expect(pushed.milliseconds).toBeLessThan(10_000)
    expect((await server.ask('GET', '/readyz')).status).toBe(200)
    disk.empty()
    expect((await station.cairn('push')).stdout).toMatch(/files pushed/)
    expect((await station.cairn('push')).stdout).toContain('Everything is up to date.')
    const other = clone(path.join(station.home, 'clone'))
    await other.cairn('pull')
    expect(folderDigest(path.join(other.dir, 'data'))).toBe(folderDigest(path.join(station.dir, 'data')))
  })

  test("a pull into a workstation's full disk leaves nothing half done, and completes with more room", async () => {
    await track(7)
    await station.cairn('push')
    const small = mountSmallDisk(8)
    try {
      const other = clone(path.join(small.dir, 'clone'))
      expectFull(await other.tryCairn('pull'))
      expect(existsSync(path.join(other.dir, 'data'))).toBe(false)
      small.grow(60)
      await other.cairn('pull')
      expect(folderDigest(path.join(other.dir, 'data'))).toBe(folderDigest(path.join(station.dir, 'data')))
    } finally {
      small.remove()
    }
  })
})
