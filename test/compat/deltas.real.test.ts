import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshBackends } from '../rig/backends.ts'
import { type CountingProxy, startCountingProxy } from '../rig/counting-proxy.ts'
import { startFreshServer } from '../rig/fresh-server.ts'
import { createWorkstation, folderDigest, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

const MIB = 1024 * 1024

describe.each([
  { name: 'files', env: () => Promise.resolve({}) },
  { name: 'Postgres and a bucket', env: freshBackends },
])('a file pushed as a difference, on $name', ({ env }) => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'cairn-deltas-'))
  const stations: Workstation[] = []
  let server: Awaited<ReturnType<typeof startFreshServer>>
  let proxy: CountingProxy

  beforeAll(async () => {
    server = await startFreshServer({ home, env: { ...(await env()), CAIRN_DIRECT: 'off' } })
    proxy = await startCountingProxy(server.url)
  })
  afterAll(async () => {
    await proxy?.close()
    await server?.stop()
    for (const station of stations) station.remove()
    rmSync(home, { recursive: true, force: true })
  })

  function start(from?: Workstation): Workstation {
    const station = createWorkstation({ env: { CAIRN_TOKEN: server.adminToken } })
    stations.push(station)
    if (from) station.git('clone', '-q', from.dir, station.dir)
    else station.git('init', '-q', '-b', 'main')
    return station
  }

  test('is a plain file to stock dvc, and stock uploads are bases like others', async () => {
    const dvc = async (station: Workstation, ...args: string[]) => {
      const done = await run(realParts().dvc, args, { cwd: station.dir, env: station.env })
      expect(done, `dvc ${args.join(' ')}\n${done.stdout}\n${done.stderr}`).toHaveProperty('code', 0)
    }
    const authorize = async (station: Workstation) => {
      await dvc(station, 'remote', 'modify', 'origin', 'auth', 'custom')
      await dvc(station, 'remote', 'modify', 'origin', 'custom_auth_header', 'Authorization')
      await dvc(station, 'remote', 'modify', '--local', 'origin', 'password', `Bearer ${server.adminToken}`)
    }
    const first = start()
    const file = path.join(first.dir, 'big.bin')
    await dvc(first, 'init', '-q')
    await dvc(first, 'remote', 'add', '-d', 'origin', `${proxy.url}/dvc/default`)
    await authorize(first)
    writeFileSync(file, randomBytes(40 * MIB))
    await dvc(first, 'add', '-q', 'big.bin')
    first.git('add', '-A')
    first.git('commit', '-qm', 'First')
    await dvc(first, 'push', '-q')

    for (const place of [5 * MIB, 30 * MIB]) {
      const bytes = readFileSync(file)
      randomBytes(64 * 1024).copy(bytes, place)
      rmSync(file)
      writeFileSync(file, Buffer.concat([bytes, Buffer.from('one more line')]))
      await first.cairn('add', 'big.bin')
      proxy.reset()
      await first.cairn('push')
      expect(proxy.sent).toBeLessThan(MIB)
      first.git('commit', '-qam', 'Change')
    }

    const second = start(first)
    await authorize(second)
    await dvc(second, 'pull', '-q')
    expect(folderDigest(path.join(second.dir, 'big.bin'))).toBe(folderDigest(file))

    const third = start(first)
    third.git('checkout', '-q', 'HEAD~2')
    await third.cairn('pull')
    third.git('checkout', '-q', 'main')
    proxy.reset()
    await third.cairn('pull')
    expect(proxy.received).toBeLessThan(MIB)
    expect(folderDigest(path.join(third.dir, 'big.bin'))).toBe(folderDigest(file))
  })
})
