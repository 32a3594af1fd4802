import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type CountingProxy, startCountingProxy } from '../rig/counting-proxy.ts'
import { folderDigest, type Workstation } from '../rig/project.ts'
import { startTestServer, type TestServer } from '../rig/server.ts'
import { cloneOf, createSharedProject } from '../rig/shared-project.ts'

/** With names of this length the listing has some 100 KB. */
const FILES = 400
const nameOf = (index: number) => `data/class-${index % 9}/${'a-rather-long-name-'.repeat(9)}${index}.txt`
let server: TestServer
let proxy: CountingProxy
let first: Workstation
const others: Workstation[] = []
let project = ''
let serial = 0

beforeAll(async () => {
  server = await startTestServer()
  proxy = await startCountingProxy(server.url)
})
afterAll(async () => {
  await proxy?.close()
  await server?.stop()
})
beforeEach(async () => {
  project = `p${serial++}`
  first = await createSharedProject(server, proxy.url, project)
  for (let index = 0; index < FILES; index++) write(nameOf(index), `${project} ${index}`)
  await first.cairn('add', 'data')
  commit()
  expect((await first.cairn('push')).stdout).toBe(`${FILES + 1} files pushed\n`)
})
afterEach(() => {
  for (const each of [first, ...others.splice(0)]) each.remove()
})

const write = (name: string, text: string) => {
  mkdirSync(path.dirname(path.join(first.dir, name)), { recursive: true })
  writeFileSync(path.join(first.dir, name), text)
}
const commit = () => {
  first.git('add', '-A')
  first.git('commit', '-qm', 'Commit')
}
/** Another machine's clone, with everything in its cache. */
const clone = async (): Promise<Workstation> => {
  const other = cloneOf(first)
  others.push(other)
  await other.cairn('pull')
  return other
}
const change = async (text: string) => {
  write(nameOf(300), text)
  write('data/class-3/new.txt', `new ${text}`)
  rmSync(path.join(first.dir, nameOf(4)), { force: true })
  await first.cairn('add', 'data')
}
const treeSize = (): number => {
  const [, md5 = ''] = /md5: (\w+)\.dir/.exec(readFileSync(path.join(first.dir, 'data.dvc'), 'utf8')) ?? []
  return readFileSync(path.join(first.dir, `.dvc/cache/files/md5/${md5.slice(0, 2)}/${md5.slice(2)}.dir`)).length
}
const same = (other: Workstation) =>
  expect(folderDigest(path.join(other.dir, 'data'))).toBe(folderDigest(path.join(first.dir, 'data')))

describe('a changed folder', () => {
  test('costs what changed, in both directions, before and after the commit', async () => {
    const second = await clone()
    await change('changed once')
    proxy.reset()
    expect((await first.cairn('push')).stdout).toBe('3 files pushed\n')
    expect(treeSize()).toBeGreaterThan(80_000)
    expect(proxy.sent).toBeLessThan(2000)
    expect(proxy.requests.length).toBeLessThanOrEqual(4)
    expect(proxy.requests.filter((request) => request.includes('/trees?'))).toEqual([expect.stringContaining('base=')])
    commit()

    second.git('pull', '-q')
    proxy.reset()
    expect((await second.cairn('pull')).stdout).toContain('3 files fetched')
    expect(proxy.received).toBeLessThan(2000)
    expect(proxy.requests).toHaveLength(2)
    same(second)

    await change('changed twice')
    commit()
    proxy.reset()
    await first.cairn('push')
    expect(proxy.sent).toBeLessThan(2000)
  })

  test('goes whole where the server has none of the earlier trees, and a difference to an older one where it has that', async () => {
    await change('never pushed')
    commit()
    await change('pushed')
    commit()
    proxy.reset()
    await first.cairn('push')
    const requests = proxy.requests.map((request) => request.replace(/^.*\/([a-z]+)(\?.*|$)/, '$1'))
    // The pack goes beside the first of the trees.
    expect(requests.filter((request) => request !== 'packs')).toEqual(['missing', 'trees', 'missing', 'trees', 'commit'])
    expect(requests.filter((request) => request === 'packs')).toHaveLength(1)
    expect(proxy.sent).toBeLessThan(3000)

    await server.createProject(`${project}-empty`)
    first.env['CAIRN_TOKEN'] = await server.token(['read', 'write'])
    await first.cairn('remote', 'add', 'empty', `${proxy.url}/dvc/${project}-empty`)
    expect((await first.cairn('push', '-r', 'empty')).stdout).toBe(`${FILES + 1} files pushed\n`)
  })

  test('comes whole where the earlier tree is no longer in the cache, or is damaged there', async () => {
    const [gone, damaged] = [await clone(), await clone()]
    const [, md5 = ''] = /md5: (\w+)\.dir/.exec(readFileSync(path.join(gone.dir, 'data.dvc'), 'utf8')) ?? []
    const tree = (station: Workstation) => path.join(station.dir, `.dvc/cache/files/md5/${md5.slice(0, 2)}/${md5.slice(2)}.dir`)
    await change('for those who lost the base')
    await first.cairn('push')
    commit()
    const bytes = readFileSync(tree(damaged))
    rmSync(tree(gone))
    rmSync(tree(damaged))
    writeFileSync(tree(damaged), bytes.fill('x', 1000, 2000))
    for (const station of [gone, damaged]) {
      station.git('pull', '-q')
      expect((await station.cairn('pull')).stdout).toContain('3 files fetched')
      same(station)
    }
  })

  test('is pulled below one path with nothing but the listing and the files there', async () => {
    const second = cloneOf(first)
    others.push(second)
    proxy.reset()
    expect((await second.cairn('pull', 'data/class-3')).stdout).toContain('46 files fetched')
    expect(proxy.received).toBeLessThan(treeSize() + 20_000)
    expect(folderDigest(path.join(second.dir, 'data/class-3'))).toBe(folderDigest(path.join(first.dir, 'data/class-3')))

    await change('below one path')
    await first.cairn('push')
    commit()
    second.git('pull', '-q')
    proxy.reset()
    expect((await second.cairn('pull', 'data/class-3')).stdout).toContain('3 files fetched')
    expect(proxy.received).toBeLessThan(2000)
  })

  test('goes and comes whole with a server that knows no differences', async () => {
    const second = await clone()
    for (const station of [first, second]) {
      const file = path.join(station.dir, '.dvc/tmp/cairn/remotes.json')
      const known = readFileSync(file, 'utf8')
      expect(known).toContain('"tree-deltas"')
      writeFileSync(file, known.replace('"tree-deltas"', '"something-else"'))
    }
    await change('in the old way')
    proxy.reset()
    expect((await first.cairn('push')).stdout).toBe('3 files pushed\n')
    expect(proxy.requests.join(' ')).not.toContain('base=')
    commit()
    second.git('pull', '-q')
    await second.cairn('pull')
    expect(proxy.requests.join(' ')).not.toContain('base=')
    same(second)
  })
})
