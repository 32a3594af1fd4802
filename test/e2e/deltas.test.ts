import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type CountingProxy, startCountingProxy } from '../rig/counting-proxy.ts'
import { folderDigest, type Workstation } from '../rig/project.ts'
import { startTestServer, type TestServer } from '../rig/server.ts'
import { cloneOf, createSharedProject } from '../rig/shared-project.ts'

const MIB = 1024 * 1024
const SIZE = 12 * MIB
let server: TestServer
let proxy: CountingProxy
let first: Workstation
let serial = 0
const others: Workstation[] = []

beforeAll(async () => {
  server = await startTestServer()
  proxy = await startCountingProxy(server.url)
})
afterAll(async () => {
  await proxy?.close()
  await server?.stop()
})
beforeEach(async () => {
  first = await createSharedProject(server, proxy.url, `p${serial++}`)
})
afterEach(() => {
  first.remove()
  for (const other of others.splice(0)) other.remove()
})

function clone(): Workstation {
  const other = cloneOf(first)
  others.push(other)
  return other
}
const commit = () => {
  first.git('add', '-A')
  first.git('commit', '-qm', 'Commit')
}
function change(file: string, at: number): void {
  const bytes = readFileSync(path.join(first.dir, file))
  randomBytes(64 * 1024).copy(bytes, at)
  writeFileSync(path.join(first.dir, file), bytes)
}
async function begin(file: string, target = file): Promise<Workstation> {
  await first.cairn('add', target)
  commit()
  await first.cairn('push')
  const second = clone()
  await second.cairn('pull')
  proxy.reset()
  return second
}

describe('64 KiB changed in a large file', () => {
  test('travel alone, to the server and to the next workstation', async () => {
    writeFileSync(path.join(first.dir, 'big.bin'), randomBytes(SIZE))
    const second = await begin('big.bin')
    change('big.bin', 9 * MIB)
    await first.cairn('add', 'big.bin')
    const pushed = await first.cairn('push', '-v')
    expect(pushed.stdout).toBe('1 file pushed\n')
    expect(pushed.stderr).toMatch(/sent 6\d\.\d KiB instead of 12\.0 MiB, as a difference to [0-9a-f]{32}/)
    expect(proxy.sent).toBeLessThan(MIB)

    commit()
    second.git('pull', '-q')
    proxy.reset()
    expect((await second.cairn('pull', '-v')).stderr).toMatch(/fetched 6\d\.\d KiB instead of 12\.0 MiB/)
    expect(proxy.received).toBeLessThan(MIB)
    expect(folderDigest(path.join(second.dir, 'big.bin'))).toBe(folderDigest(path.join(first.dir, 'big.bin')))

    const third = clone()
    await third.cairn('pull')
    expect(folderDigest(path.join(third.dir, 'big.bin'))).toBe(folderDigest(path.join(first.dir, 'big.bin')))
  })

  test('travel alone from inside of a folder, too', async () => {
    mkdirSync(path.join(first.dir, 'data'))
    writeFileSync(path.join(first.dir, 'data/big.bin'), randomBytes(SIZE))
    writeFileSync(path.join(first.dir, 'data/small.txt'), 'small')
    const second = await begin('data/big.bin', 'data')
    change('data/big.bin', 3 * MIB)
    await first.cairn('add', 'data')
    await first.cairn('push')
    expect(proxy.sent).toBeLessThan(MIB)
    commit()
    second.git('pull', '-q')
    proxy.reset()
    await second.cairn('pull')
    expect(proxy.received).toBeLessThan(MIB)
    expect(folderDigest(path.join(second.dir, 'data'))).toBe(folderDigest(path.join(first.dir, 'data')))
  })

  test('come with all the rest when CAIRN_DELTA is off', async () => {
    writeFileSync(path.join(first.dir, 'big.bin'), randomBytes(SIZE))
    await begin('big.bin')
    change('big.bin', 9 * MIB)
    await first.cairn('add', 'big.bin')
    first.env['CAIRN_DELTA'] = 'off'
    await first.cairn('push')
    expect(proxy.sent).toBeGreaterThan(SIZE)
  })
})
