import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeArtifacts } from '../rig/artifacts.ts'
import { createWorkstation, folderDigest, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'
import { type Client, must, use, writeFiles } from '../rig/two-clients.ts'

const CLIENTS = ['cairn', 'dvc'] as const

const stations: Workstation[] = []
let source: Workstation

async function startProject(client: Client): Promise<Workstation> {
  const station = createWorkstation()
  stations.push(station)
  station.git('init', '-q', '-b', 'main')
  await must(client, station, 'init')
  return station
}

const read = (station: Workstation, name: string): string | undefined =>
  existsSync(path.join(station.dir, name)) ? readFileSync(path.join(station.dir, name), 'utf8') : undefined

beforeAll(async () => {
  source = await startProject('cairn')
  writeFiles(source, { 'data/one': '1\n', 'data/sub/two': '2\n', 'code/plain.txt': 'git\n', 'code/model': 'weights\n' })
  await must('cairn', source, 'add', 'data', 'code/model')
  source.git('add', '-A')
  source.git('commit', '-qm', 'data')
  source.git('tag', 'v1')
  writeFiles(source, { 'data/three': '3\n' })
  await must('cairn', source, 'add', 'data')
  source.git('commit', '-qam', 'more')
}, 60_000)
afterAll(() => {
  for (const station of stations) station.remove()
})

describe('beside stock dvc', () => {
  test('imports of every kind write the same files and bring the same content', { timeout: 120_000 }, async () => {
    const pairs = await Promise.all(CLIENTS.map((client) => startProject(client)))
    const commands = (): string[][] => [
      ['import', source.dir, 'data'],
      ['import', source.dir, 'data/sub', '-o', 'part', '--rev', 'v1'],
      ['import', source.dir, 'code'],
      ['import', source.dir, 'code/plain.txt'],
      ['import', source.dir, 'data/one', '-o', 'later', '--no-exec'],
      ['import', source.dir, 'data/one', '-o', 'empty', '--no-download'],
      ['import-url', path.join(source.dir, 'code'), 'copy'],
      ['import-url', path.join(source.dir, 'code/plain.txt')],
      ['import-url', path.join(source.dir, 'code/plain.txt'), 'url-later', '--no-exec'],
      ['import-url', path.join(source.dir, 'code/plain.txt'), 'url-empty', '--no-download'],
      ['update', '--rev', 'main', 'part.dvc'],
      ['update', 'data.dvc'],
      ['update', 'url-later.dvc'],
    ]
    for (const args of commands()) {
      const [ours, theirs] = [
        await use('cairn', pairs[0] as Workstation, ...args),
        await use('dvc', pairs[1] as Workstation, ...args),
      ]
      expect(ours.code, `${args.join(' ')}\n${ours.stderr}`).toBe(theirs.code)
      expect(ours.stdout.split('\n')[0]).toBe(theirs.stdout.split('\n')[0])
    }
    const [ours, theirs] = pairs as [Workstation, Workstation]
    for (const name of ['data', 'part', 'code', 'plain.txt', 'later', 'empty', 'copy', 'url-later', 'url-empty']) {
      expect(read(ours, `${name}.dvc`), name).toBe(read(theirs, `${name}.dvc`))
      expect(folderDigest(path.join(ours.dir, name)), name).toBe(folderDigest(path.join(theirs.dir, name)))
    }
    expect(read(ours, '.gitignore')).toBe(read(theirs, '.gitignore'))
    for (const client of CLIENTS)
      expect((await must(client, ours, 'status', 'data.dvc', 'part.dvc', 'copy.dvc')).stdout).not.toContain('changed')
  })

  test('list and get answer the same', { timeout: 120_000 }, async () => {
    const [ours, theirs] = [createWorkstation(), createWorkstation()]
    stations.push(ours, theirs)
    for (const args of [
      [],
      ['data'],
      ['-R'],
      ['-R', '--json'],
      ['-T'],
      ['--dvc-only', '-R', '--rev', 'v1'],
      ['data', '--size', '--show-hash'],
    ]) {
      const [mine, stock] = [
        await must('cairn', ours, 'list', source.dir, ...args),
        await must('dvc', theirs, 'list', source.dir, ...args),
      ]
      expect(mine.stdout, args.join(' ')).toBe(stock.stdout)
    }
    for (const [client, station] of [
      ['cairn', ours],
      ['dvc', theirs],
    ] as const) {
      await must(client, station, 'get', source.dir, 'data', '-o', 'd', '--rev', 'v1')
      await must(client, station, 'get', source.dir, 'code')
      expect((await use(client, station, 'get', source.dir, 'code')).code).toBe(1)
    }
    expect(folderDigest(ours.dir)).toBe(folderDigest(theirs.dir))
  })

  test('artifacts get brings the same', { timeout: 120_000 }, async () => {
    const models = createWorkstation()
    stations.push(models)
    await writeArtifacts(models)
    for (const args of [
      ['model'],
      ['model', '--rev', 'v1.0.0'],
      ['model', '--rev', 'v99.0.0'],
      ['model', '--stage', 'prod'],
      ['model', '--stage', 'dev'],
      ['model', '--stage', 'nosuch'],
      ['sub:inner'],
      ['sub/dvc.yaml:inner', '-o', 'other'],
      ['inner'],
      ['plain'],
    ]) {
      const [ours, theirs] = await Promise.all(
        CLIENTS.map(async (client) => {
          const station = createWorkstation()
          stations.push(station)
          const { code, stdout } = await use(client, station, 'artifacts', 'get', models.dir, ...args)
          rmSync(path.join(station.dir, '.dvc'), { recursive: true, force: true })
          return { code, stdout, brought: folderDigest(station.dir) }
        }),
      )
      expect(ours, args.join(' ')).toEqual(theirs)
    }
  })

  test('gc leaves the same objects in every scope', { timeout: 120_000 }, async () => {
    for (const scope of [['-w'], ['-w', '-T'], ['-a'], ['--rev', 'v1'], ['-A'], ['-w', '-c']]) {
      const left = []
      for (const client of CLIENTS) {
        const station = await startProject('cairn')
        rmSync(path.join(station.dir, '.dvc'), { recursive: true })
        rmSync(path.join(station.dir, '.git'), { recursive: true })
        await run('cp', ['-a', `${source.dir}/.`, station.dir], { cwd: source.dir })
        await must('cairn', station, 'remote', 'add', '-d', 'store', path.join(station.home, 'store'))
        await must('cairn', station, 'push', '-T')
        await must(client, station, 'gc', '-f', ...scope)
        left.push([folderDigest(path.join(station.dir, '.dvc/cache')), folderDigest(path.join(station.home, 'store'))])
      }
      expect(left[0], scope.join(' ')).toEqual(left[1])
    }
  })

  test.each([
    ['cairn', 'dvc'],
    ['dvc', 'cairn'],
  ] as const)('what %s pushes to a bucket, %s pulls', { timeout: 120_000 }, async (pusher, puller) => {
    const { s3 } = realParts()
    const station = await startProject('cairn')
    writeFiles(station, { 'd/a': `${pusher}\n`, 'd/b/c': 'c\n' })
    await must('cairn', station, 'add', 'd')
    await must('cairn', station, 'remote', 'add', '-d', 's3', `s3://${s3.bucket}/sharing-${process.pid}-${Date.now()}-${pusher}`)
    await must('cairn', station, 'remote', 'modify', 's3', 'endpointurl', s3.endpoint)
    await must('cairn', station, 'remote', 'modify', '--local', 's3', 'access_key_id', s3.accessKey)
    await must('cairn', station, 'remote', 'modify', '--local', 's3', 'secret_access_key', s3.secretKey)
    expect((await must(pusher, station, 'push')).stdout).toContain('3 files pushed')
    const before = folderDigest(path.join(station.dir, 'd'))
    rmSync(path.join(station.dir, 'd'), { recursive: true })
    rmSync(path.join(station.dir, '.dvc/cache'), { recursive: true })
    await must(puller, station, 'pull')
    expect(folderDigest(path.join(station.dir, 'd'))).toBe(before)
    expect((await must(puller, station, 'push')).stdout).toContain('Everything is up to date.')
  })
})
