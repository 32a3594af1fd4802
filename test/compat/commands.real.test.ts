import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPlainHttpRemote } from '../rig/plain-http-remote.ts'
import { createWorkstation, folderDigest, type Workstation } from '../rig/project.ts'
import { startTestServer } from '../rig/server.ts'
import { type Client, must, use } from '../rig/two-clients.ts'

const both: Array<[Client, Client]> = [
  ['cairn', 'dvc'],
  ['dvc', 'cairn'],
]

const stations: Workstation[] = []
const newStation = () => {
  const station = createWorkstation()
  stations.push(station)
  return station
}
afterAll(() => {
  for (const station of stations) station.remove()
})

function writeAwkward(dir: string): void {
  const files: Record<string, string> = {
    'data/plain.txt': 'hello\n',
    'data/crlf.txt': 'a\r\nb\r\n',
    'data/empty': '',
    'data/sub/ünï "q".txt': 'x\n',
    'data/sub/a b.txt': 'blank\n',
    'data/\u{1f600}': 'astral\n',
    'data/deep/er/still/file': 'deep\n',
    'single.bin': '\0binary\r\n',
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(dir, name)), { recursive: true })
    writeFileSync(path.join(dir, name), text)
  }
  writeFileSync(path.join(dir, 'tool.sh'), '#!/bin/sh\n', { mode: 0o755 })
}

async function startRepository(client: Client): Promise<Workstation> {
  const station = newStation()
  station.git('init', '-q', '-b', 'main')
  await must(client, station, 'init')
  return station
}

/** The files that a command wrote, to be compared between the two clients. */
function written(station: Workstation, ...names: string[]): Record<string, string | undefined> {
  const read = (name: string) =>
    existsSync(path.join(station.dir, name)) ? readFileSync(path.join(station.dir, name), 'utf8') : undefined
  return Object.fromEntries(names.map((name) => [name, read(name)]))
}

describe('beside stock dvc', () => {
  test('init writes the same files', async () => {
    const [ours, theirs] = [await startRepository('cairn'), await startRepository('dvc')]
    const names = ['.dvc/.gitignore', '.dvc/config', '.dvcignore']
    expect(written(ours, ...names)).toEqual(written(theirs, ...names))
    expect(ours.git('diff', '--cached', '--name-only')).toBe(theirs.git('diff', '--cached', '--name-only'))
  })

  test('add writes the same stage files, .gitignore and cache', async () => {
    const [ours, theirs] = [await startRepository('cairn'), await startRepository('dvc')]
    for (const [client, station] of [
      ['cairn', ours],
      ['dvc', theirs],
    ] as const) {
      writeAwkward(station.dir)
      await must(client, station, 'add', 'data', 'single.bin', 'tool.sh')
    }
    const names = ['data.dvc', 'single.bin.dvc', 'tool.sh.dvc', '.gitignore']
    expect(written(ours, ...names)).toEqual(written(theirs, ...names))
    expect(folderDigest(path.join(ours.dir, '.dvc/cache'))).toBe(folderDigest(path.join(theirs.dir, '.dvc/cache')))
  })

  test('remote and config write files that the other reads to the same answer', async () => {
    const [ours, theirs] = [await startRepository('cairn'), await startRepository('dvc')]
    for (const [client, station] of [
      ['cairn', ours],
      ['dvc', theirs],
    ] as const) {
      await must(client, station, 'remote', 'add', '-d', 'origin', 'http://127.0.0.1:1/dvc/x')
      await must(client, station, 'remote', 'add', 'folder', '../store')
      await must(client, station, 'remote', 'modify', '--local', 'origin', 'password', 'a, "quoted" #word')
      await must(client, station, 'config', 'core.autostage', 'true')
      await must(client, station, 'config', 'cache.type', 'hardlink,copy')
    }
    expect(written(ours, '.dvc/config')).toEqual(written(theirs, '.dvc/config'))
    for (const station of [ours, theirs]) {
      const answers = await Promise.all(
        (['cairn', 'dvc'] as const).map(async (client) => (await must(client, station, 'config', '--list')).stdout),
      )
      expect(answers[0]).toBe(answers[1])
    }
  })

  test.each(both)('what %s added is clean, checked out and committed by %s', async (writer, reader) => {
    const station = await startRepository(writer)
    writeAwkward(station.dir)
    await must(writer, station, 'add', 'data', 'single.bin', 'tool.sh')
    const before = folderDigest(path.join(station.dir, 'data'))
    expect((await must(reader, station, 'status')).stdout).toMatch(/up to date/)
    rmSync(path.join(station.dir, 'data'), { recursive: true })
    rmSync(path.join(station.dir, 'tool.sh'))
    await must(reader, station, 'checkout')
    expect(folderDigest(path.join(station.dir, 'data'))).toBe(before)
    writeFileSync(path.join(station.dir, 'data/more.txt'), 'more\n')
    await must(reader, station, 'add', 'data')
    expect((await must(writer, station, 'status')).stdout).toMatch(/up to date/)
  })

  describe.each(['a folder', 'plain HTTP', 'a Cairn server'] as const)('on %s', (kind) => {
    let url = ''
    let token: string | undefined
    const closers: Array<() => Promise<unknown>> = []

    beforeAll(async () => {
      if (kind === 'a folder') {
        url = path.join(newStation().home, 'store')
      } else if (kind === 'plain HTTP') {
        const remote = await startPlainHttpRemote({ dir: path.join(newStation().home, 'http') })
        url = remote.url
        closers.push(() => remote.stop())
      } else {
        const server = await startTestServer()
        url = `${server.url}/dvc/demo`
        token = server.adminToken
        closers.push(() => server.stop())
      }
    })
    afterAll(async () => {
      for (const close of closers) await close()
    })

    async function addRemote(client: Client, station: Workstation): Promise<void> {
      await must(client, station, 'remote', 'add', '-d', 'origin', url)
      await authorize(client, station)
    }

    async function authorize(client: Client, station: Workstation): Promise<void> {
      if (!token) return
      await must(client, station, 'remote', 'modify', '--local', 'origin', 'auth', 'custom')
      await must(client, station, 'remote', 'modify', '--local', 'origin', 'custom_auth_header', 'Authorization')
      await must(client, station, 'remote', 'modify', '--local', 'origin', 'password', `Bearer ${token}`)
    }

    test.each(both)('what %s pushes, %s pulls, and both say that nothing is left to do', async (pusher, puller) => {
      const station = await startRepository(pusher)
      await addRemote(pusher, station)
      writeAwkward(station.dir)
      await must(pusher, station, 'add', 'data', 'single.bin', 'tool.sh')
      await must(pusher, station, 'push')
      for (const client of ['cairn', 'dvc'] as const) {
        expect((await must(client, station, 'push')).stdout).toMatch(/Everything is up to date/)
        expect((await must(client, station, 'status', '-c')).stdout).toMatch(/in sync/)
      }
      station.git('add', '-A')
      station.git('commit', '-qm', 'data')
      station.git('clone', '-q', station.dir, path.join(station.home, 'clone'))
      const clone = station.at(path.join(station.home, 'clone'))
      await authorize(puller, clone)
      await must(puller, clone, 'pull')
      expect(folderDigest(path.join(clone.dir, 'data'))).toBe(folderDigest(path.join(station.dir, 'data')))
      for (const client of ['cairn', 'dvc'] as const) expect((await must(client, clone, 'status')).stdout).toMatch(/up to date/)
    })
  })

  test('a repository of 2019 becomes one that stock dvc finds clean, without running a stage', async () => {
    const station = await startRepository('cairn')
    mkdirSync(path.join(station.dir, 'config'))
    writeFileSync(path.join(station.dir, 'config/load.json'), '{"n": 3}\n')
    await must(
      'cairn',
      station,
      'run',
      '-f',
      'load.dvc',
      '-d',
      'config/load.json',
      '-o',
      'data',
      'mkdir -p data && for i in 1 2 3; do echo $i > data/$i; done; echo ran >> ran.log',
    )
    await must(
      'cairn',
      station,
      'run',
      '-f',
      'sum.dvc',
      '-d',
      'data',
      '-M',
      'metrics.json',
      `cat data/* | awk '{s += $1} END {print "{\\"sum\\": " s "}"}' > metrics.json; echo ran >> ran.log`,
    )
    expect((await use('dvc', station, 'status')).code).not.toBe(0)
    await must('cairn', station, 'migrate')
    expect(readFileSync(path.join(station.dir, 'ran.log'), 'utf8')).toBe('ran\nran\n')
    for (const client of ['dvc', 'cairn'] as const) {
      expect((await must(client, station, 'status')).stdout).toMatch(/up to date/)
      expect((await must(client, station, 'repro')).stdout).toMatch(/up to date/)
    }
    expect((await must('dvc', station, 'metrics', 'show')).stdout).toMatch(/sum/)
  })
})
