import { chmodSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { objectPath } from '@cairn/protocol/digest'
import { type CountingProxy, startCountingProxy } from '../rig/counting-proxy.ts'
import { writeSmallFiles } from '../rig/images.ts'
import { startPlainHttpRemote } from '../rig/plain-http-remote.ts'
import { folderDigest, run, CAIRN, type Workstation } from '../rig/project.ts'
import { digestOf, startTestServer, type TestServer } from '../rig/server.ts'
import { cloneOf, createSharedProject } from '../rig/shared-project.ts'

let server: TestServer
let proxy: CountingProxy
let first: Workstation
let serial = 0
let project: string

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
})
afterEach(() => first.remove())

const inFirst = (name: string) => path.join(first.dir, name)
const write = (name: string, text: string) => {
  mkdirSync(path.dirname(inFirst(name)), { recursive: true })
  writeFileSync(inFirst(name), text)
}
const commit = (tag?: string) => {
  first.git('add', '-A')
  first.git('commit', '-qm', 'Commit')
  if (tag !== undefined) first.git('tag', tag)
}
/** Another machine's clone, with its own home. */
function clone(): Workstation {
  const other = cloneOf(first)
  others.push(other)
  return other
}
const others: Workstation[] = []
afterEach(() => {
  for (const other of others.splice(0)) other.remove()
})
const cached = (station: Workstation, text: string) => path.join(station.dir, '.dvc/cache', objectPath(digestOf(text)))

test('a push without a remote, or to one that nobody configured, fails with 1 as dvc does', async () => {
  await first.cairn('remote', 'remove', 'origin')
  write('a', 'text')
  await first.cairn('add', 'a')
  for (const [args, words] of [
    [[], 'config file error: no remote specified in'],
    [['-r', 'nope'], "config file error: remote 'nope' doesn't exist"],
  ] as const) {
    const done = await first.tryCairn('push', ...args)
    expect(done.code).toBe(1)
    expect(done.stderr).toContain(`ERROR: failed to push data to the cloud - ${words}`)
  }
})

describe('two people with a Cairn server', () => {
  test('share a folder of a thousand files with a handful of requests', async () => {
    writeSmallFiles(inFirst('data'), { count: 1000, seed: 7 })
    await first.cairn('add', 'data')
    commit()
    expect((await first.cairn('push')).stdout).toBe('1001 files pushed\n')

    proxy.reset()
    expect((await first.cairn('push')).stdout).toBe('Everything is up to date.\n')
    expect(proxy.requests).toHaveLength(1)

    const second = clone()
    proxy.reset()
    const pulled = await second.cairn('pull')
    expect(pulled.stdout).toBe('A       data/\n1001 files fetched and 1000 files added\n')
    expect(proxy.requests.length).toBeLessThanOrEqual(4)
    expect(folderDigest(path.join(second.dir, 'data'))).toBe(folderDigest(inFirst('data')))

    proxy.reset()
    expect((await second.cairn('pull')).stdout).toBe('Everything is up to date.\n')
    expect(proxy.requests).toEqual([])
  })

  test('send each other only what changed', async () => {
    writeSmallFiles(inFirst('data'), { count: 200, seed: 8, min: 20_000, max: 20_001 })
    await first.cairn('add', 'data')
    commit()
    await first.cairn('push')
    const second = clone()
    await second.cairn('pull')

    writeFileSync(path.join(second.dir, 'data/new.txt'), 'new')
    rmSync(path.join(second.dir, 'data/d0/f000000.bin'))
    await second.cairn('add', 'data')
    proxy.reset()
    expect((await second.cairn('push')).stdout).toBe('2 files pushed\n')
    expect(proxy.sent).toBeLessThan(50_000)
    second.git('commit', '-qam', 'Change')
    first.git('pull', '-q', second.dir, 'main')
    expect((await first.cairn('pull')).stdout).toBe('M       data/\n2 files fetched, 1 file added and 1 file deleted\n')
    expect(folderDigest(inFirst('data'))).toBe(folderDigest(path.join(second.dir, 'data')))
  })

  test('pull a part of a folder without the rest', async () => {
    write('data/cats/a', 'cat a')
    write('data/cats/b', 'cat b')
    write('data/dogs/a', 'dog a')
    await first.cairn('add', 'data')
    commit()
    await first.cairn('push')
    const second = clone()
    expect((await second.cairn('pull', 'data/cats')).stdout).toContain('3 files fetched')
    expect(globSync('data/**/*', { cwd: second.dir }).toSorted()).toEqual(['data/cats', 'data/cats/a', 'data/cats/b'])
    expect(existsSync(cached(second, 'dog a'))).toBe(false)
    await second.cairn('pull')
    expect(readFileSync(path.join(second.dir, 'data/dogs/a'), 'utf8')).toBe('dog a')
  })

  test('have the versions of every tag, also of those before the remote', async () => {
    for (const version of ['one', 'two', 'three']) {
      write('file', version)
      await first.cairn('add', 'file')
      commit(version)
    }
    expect((await first.cairn('push')).stdout).toBe('1 file pushed\n')
    expect((await first.cairn('push', '-T')).stdout).toBe('2 files pushed\n')
    const second = clone()
    expect((await second.cairn('fetch', '--all-tags')).stdout).toBe('3 files fetched\n')
    second.git('checkout', '-q', 'one')
    await second.cairn('checkout')
    expect(readFileSync(path.join(second.dir, 'file'), 'utf8')).toBe('one')
  })

  test('see what a push and a pull would move, before they do', async () => {
    write('data/a', 'a')
    write('single', 'b')
    await first.cairn('add', 'data', 'single')
    commit()
    expect((await first.cairn('status', '-c')).stdout).toBe(
      '\tnew:                data\n\tnew:                data/a\n\tnew:                single\n',
    )
    expect((await first.cairn('push', '--dry-run')).stdout).toMatch(
      /^Would push 3 files \(\d+ B\) to 'origin':\n\tdata\n\tdata\/a\n\tsingle\n$/,
    )
    await first.cairn('push')
    expect((await first.cairn('status', '-c')).stdout).toBe("Cache and remote 'origin' are in sync.\n")

    const second = clone()
    expect((await second.cairn('status', '-c')).stdout).toBe(
      '\tdeleted:            data\n\tdeleted:            data/a\n\tdeleted:            single\n',
    )
    expect((await second.cairn('pull', '--dry-run')).stdout).toContain("from 'origin'")
    expect(existsSync(path.join(second.dir, 'single'))).toBe(false)
  })
})

describe('what is not whole', () => {
  test('missing on both sides is an error that names it, and everything else goes and comes', async () => {
    write('data/a', 'present')
    write('data/b', 'lost')
    write('single', 'alone')
    await first.cairn('add', 'data', 'single')
    commit()
    rmSync(cached(first, 'lost'))
    const pushed = await first.tryCairn('push')
    expect(pushed.code).toBe(1)
    expect(pushed.stdout).toBe('2 files pushed\n')
    expect(pushed.stderr).toContain(`name: data/b, md5: ${digestOf('lost')}`)
    expect(pushed.stderr).toContain('ERROR: failed to push data to the cloud - 1 file failed to upload')

    const second = clone()
    const pulled = await second.tryCairn('pull')
    expect(pulled.code).toBe(1)
    expect(pulled.stderr).toContain('name: data, md5:')
    expect(readFileSync(path.join(second.dir, 'single'), 'utf8')).toBe('alone')
  })

  test('a damaged cached object is not pushed, and a fetch brings it back where the remote has it', async () => {
    write('single', 'sound bytes')
    await first.cairn('add', 'single')
    commit()
    const object = cached(first, 'sound bytes')
    chmodSync(object, 0o644)
    writeFileSync(object, 'SOUND BYTES')
    chmodSync(object, 0o444)
    const { code, stderr } = await first.tryCairn('push')
    expect(code).toBe(1)
    expect(stderr).toContain("'single'")
    expect(stderr).toContain('no longer hash')

    await first.cairn('add', 'single')
    await first.cairn('push')
    rmSync(object)
    expect((await first.cairn('fetch')).stdout).toBe('1 file fetched\n')
    expect(readFileSync(object, 'utf8')).toBe('sound bytes')
  })

  test('workspace bytes that are saved nowhere survive a pull', async () => {
    write('single', 'shared')
    await first.cairn('add', 'single')
    commit()
    await first.cairn('push')
    const second = clone()
    writeFileSync(path.join(second.dir, 'single'), 'my own work')
    const refused = await second.tryCairn('pull')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('--force')
    expect(readFileSync(path.join(second.dir, 'single'), 'utf8')).toBe('my own work')
    await second.cairn('pull', '-f')
    expect(readFileSync(path.join(second.dir, 'single'), 'utf8')).toBe('shared')
  })

  test('a path inside of a folder is pushed alone, and one that is not there is an error', async () => {
    write('data/a', 'a')
    write('data/b', 'b')
    await first.cairn('add', 'data')
    expect((await first.cairn('push', 'data/a')).stdout).toBe('1 file pushed\n')
    expect((await first.cairn('status', '-c')).stdout).toBe('\tnew:                data\n\tnew:                data/b\n')
    for (const command of ['push', 'pull', 'fetch']) {
      const { code, stderr } = await first.tryCairn(command, 'data/none')
      expect(code).toBe(1)
      expect(stderr).toContain("'data/none' does not exist")
    }
  })

  test('a target that is none is named', async () => {
    const { code, stderr } = await first.tryCairn('push', 'nonexistent')
    expect(code).toBe(1)
    expect(stderr).toContain("failed to push data to the cloud - 'nonexistent' does not exist as an output")
  })
})

test('outputs that are not cached or not pushed stay where they are', async () => {
  write(
    'dvc.yaml',
    'stages:\n  s:\n    cmd: printf a > a && printf b > b && printf c > c\n    outs:\n      - a\n      - b:\n          cache: false\n      - c:\n          push: false\n',
  )
  await first.cairn('repro')
  expect((await first.cairn('push')).stdout).toBe('1 file pushed\n')
  expect((await first.cairn('status', '-c')).stdout).toContain('in sync')
})

describe.each(['a folder', 'plain HTTP'] as const)('on %s', (kind) => {
  test('push, clone and pull give the same bytes', async () => {
    const store = path.join(first.home, 'store')
    const plain = kind === 'plain HTTP' ? await startPlainHttpRemote({ dir: store }) : undefined
    try {
      await first.cairn('remote', 'modify', 'origin', 'url', plain ? `${plain.url}/team` : store)
      writeSmallFiles(inFirst('data'), { count: 60, seed: 9 })
      await first.cairn('add', 'data')
      commit()
      expect((await first.cairn('push')).stdout).toBe('61 files pushed\n')
      expect((await first.cairn('push')).stdout).toBe('Everything is up to date.\n')
      const second = clone()
      await second.cairn('pull')
      expect(folderDigest(path.join(second.dir, 'data'))).toBe(folderDigest(inFirst('data')))
    } finally {
      await plain?.stop()
    }
  })
})

describe('a login', () => {
  test('is checked by the server, kept for its origin, and used by push', async () => {
    const secret = first.env['CAIRN_TOKEN'] ?? ''
    const { CAIRN_TOKEN: _, ...env } = first.env
    const cairn = (args: string[], input = '') => run(CAIRN, args, { cwd: first.dir, env, input })
    expect((await cairn(['push'])).code).toBe(0)

    write('single', 'x')
    await first.cairn('add', 'single')
    expect((await cairn(['push'])).code).toBe(1)
    const wrong = await cairn(['login', '--token-stdin', proxy.url], 'not-a-token\n')
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).not.toContain('not-a-token')

    const done = await cairn(['login', '--token-stdin', `${proxy.url}/dvc/${project}`], `${secret}\n`)
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toContain(`read, write on ${project}`)
    expect(done.stdout + done.stderr).not.toContain(secret)
    expect(statSync(path.join(first.home, '.config/cairn/credentials.json')).mode & 0o777).toBe(0o600)
    expect((await cairn(['push'])).stdout).toBe('1 file pushed\n')

    await cairn(['logout', proxy.url])
    expect((await cairn(['push'])).code).toBe(1)
  })

  test('of an administrator makes projects and tokens from elsewhere, and ends them', async () => {
    first.env['CAIRN_TOKEN'] = server.adminToken
    await first.cairn('project', 'create', `${project}-images`)
    expect((await first.cairn('project', 'list')).stdout).toContain(`${project}-images`)
    const created = await first.cairn(
      'token',
      'create',
      '--name',
      'ci',
      '--projects',
      `${project}-images`,
      '--scopes',
      'read',
      '--expires',
      '90d',
      '--json',
    )
    const { token, secret } = JSON.parse(created.stdout) as { token: { id: string }; secret: string }
    expect(await ask(secret)).toBe(200)
    const listed = await first.cairn('token', 'list')
    expect(listed.stdout).toMatch(new RegExp(`${token.id} +ci +${project}-images +read +until`))
    expect(listed.stdout).not.toContain(secret)
    await first.cairn('token', 'revoke', token.id)
    expect(await ask(secret)).toBe(401)
  })

  const ask = async (token: string) => (await server.ask('GET', '/api/v1/whoami', { token })).status
})
