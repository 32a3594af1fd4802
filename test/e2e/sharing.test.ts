import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeArtifacts } from '../rig/artifacts.ts'
import { startPlainHttpRemote } from '../rig/plain-http-remote.ts'
import { CAIRN, createWorkstation, folderDigest, run, type Workstation } from '../rig/project.ts'

const stations: Workstation[] = []
let source: Workstation
let mine: Workstation

async function startProject(): Promise<Workstation> {
  const bin = createWorkstation()
  stations.push(bin)
  mkdirSync(path.join(bin.home, 'bin'))
  symlinkSync(CAIRN, path.join(bin.home, 'bin/cairn'))
  bin.env['PATH'] = `${path.join(bin.home, 'bin')}:${process.env['PATH']}`
  bin.git('init', '-q', '-b', 'main')
  await bin.cairn('init')
  bin.git('commit', '-qm', 'start')
  return bin
}

function write(station: Workstation, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(station.dir, name)), { recursive: true })
    writeFileSync(path.join(station.dir, name), text)
  }
}

const read = (station: Workstation, name: string) => readFileSync(path.join(station.dir, name), 'utf8')

beforeAll(async () => {
  source = await startProject()
  write(source, { 'data/one': '1\n', 'data/sub/two': '2\n', 'code/plain.txt': 'git\n', 'code/model': 'weights\n' })
  await source.cairn('remote', 'add', '-d', 'store', path.join(source.home, 'store'))
  await source.cairn('add', 'data', 'code/model')
  source.git('add', '-A')
  source.git('commit', '-qm', 'data')
  source.git('tag', 'v1')
  await source.cairn('push')
  mine = await startProject()
})
afterAll(() => {
  for (const station of stations) station.remove()
})

test('import takes tracked folders, parts of them and what only Git keeps, and update follows the source', async () => {
  await mine.cairn('import', source.dir, 'data')
  await mine.cairn('import', source.dir, 'code', '-o', 'taken/code')
  expect(folderDigest(path.join(mine.dir, 'data'))).toBe(folderDigest(path.join(source.dir, 'data')))
  expect(read(mine, 'taken/code/model')).toBe('weights\n')
  expect(read(mine, 'taken/code/plain.txt')).toBe('git\n')
  expect(existsSync(path.join(mine.dir, 'taken/code/model.dvc'))).toBe(false)

  expect((await mine.cairn('update', 'data.dvc')).stdout).toContain(`'data.dvc' didn't change, skipping`)
  write(source, { 'data/three': '3\n' })
  await source.cairn('add', 'data')
  source.git('commit', '-qam', 'more')
  await mine.cairn('update', 'data.dvc')
  expect(read(mine, 'data/three')).toBe('3\n')
  await mine.cairn('update', '--rev', 'v1', 'data.dvc')
  expect(existsSync(path.join(mine.dir, 'data/three'))).toBe(false)
  expect(read(mine, 'data.dvc')).toContain('    rev: v1\n')
})

test('a clone without the cache pulls imports from where they came from', async () => {
  mine.git('add', '-A')
  mine.git('commit', '-qm', 'imports')
  rmSync(path.join(mine.dir, 'data'), { recursive: true })
  rmSync(path.join(mine.dir, '.dvc/cache'), { recursive: true })
  await mine.cairn('pull')
  expect(read(mine, 'data/sub/two')).toBe('2\n')
  expect(read(mine, 'taken/code/model')).toBe('weights\n')
})

test('import, import-url and get-url refuse to replace what stands there, and leave it', async () => {
  write(mine, { one: 'mine\n' })
  const refused = await mine.tryCairn('import', source.dir, 'data/one')
  expect(refused).toMatchObject({ code: 1 })
  expect(refused.stderr).toContain("The file 'one' already exists locally.")
  expect(read(mine, 'one')).toBe('mine\n')
  await mine.cairn('import', source.dir, 'data/one', '-f')
  expect(read(mine, 'one')).toBe('1\n')
  expect(await mine.tryCairn('import', source.dir, 'nosuch')).toMatchObject({ code: 1 })
  expect(existsSync(path.join(mine.dir, 'nosuch.dvc'))).toBe(false)
})

test('get and list need no repository, and read a Git url like a path', async () => {
  const nowhere = createWorkstation()
  stations.push(nowhere)
  await nowhere.cairn('get', `file://${source.dir}`, 'data', '-o', 'd', '--rev', 'v1')
  expect(read(nowhere, 'd/sub/two')).toBe('2\n')
  expect((await nowhere.cairn('list', '-R', '--dvc-only', '--rev', 'v1', source.dir)).stdout).toBe(
    'code/model\ndata/one\ndata/sub/two\n',
  )
  expect((await nowhere.cairn('list', '--dvc-only', '--rev', 'v1', source.dir, 'code')).stdout).toBe('model\n')
  await nowhere.cairn('get-url', path.join(source.dir, 'code'))
  expect(read(nowhere, 'code/plain.txt')).toBe('git\n')
  expect((await run('ls', ['-A'], { cwd: nowhere.dir })).stdout).toBe('code\nd\n')
})

test('artifacts get brings a version, or what a stage has, out of a path and a Git url', { timeout: 120_000 }, async () => {
  const [models, nowhere] = [createWorkstation(), createWorkstation()]
  stations.push(models, nowhere)
  await writeArtifacts(models)
  const get = (...args: string[]) => nowhere.tryCairn('artifacts', 'get', ...args)
  expect(await get(models.dir, 'model')).toMatchObject({ code: 0, stdout: "Downloaded 1 file(s) to 'model.bin'\n" })
  expect(read(nowhere, 'model.bin')).toBe('weights 3\n')
  expect((await get(models.dir, 'model', '--stage', 'prod')).stderr).toContain('already exists locally')
  await get(models.dir, 'model', '--stage', 'prod', '-f')
  expect(read(nowhere, 'model.bin')).toBe('weights 1\n')
  await get(`file://${models.dir}`, 'plain', '-o', 'plain')
  expect(read(nowhere, 'plain')).toContain('artifacts:')
  for (const asked of [['nosuch'], ['model', '--rev', 'v99.0.0'], ['inner'], ['model', '--rev', 'v1.0.0', '--stage', 'prod']])
    expect(await get(models.dir, ...asked), asked.join(' ')).toMatchObject({ code: 1, stdout: '' })
})

test('import-url over HTTP records what the server calls the content', async () => {
  const web = await startPlainHttpRemote({ dir: path.join(source.dir, 'code') })
  try {
    await mine.cairn('import-url', `${web.url}/plain.txt`, 'web.txt')
    expect(read(mine, 'web.txt')).toBe('git\n')
    expect(read(mine, 'web.txt.dvc')).toMatch(/^md5: .*\nfrozen: true\ndeps:\n- size: 4\n {2}hash: md5\n {2}path: http/)
    expect((await mine.tryCairn('import-url', `${web.url}/nosuch`)).code).toBe(1)
  } finally {
    await web.stop()
  }
})

test('an https url is asked over TLS by the built program', async () => {
  const refused = await mine.tryCairn('get-url', 'https://127.0.0.1:1/x', 'nosuch')
  expect(refused.code).toBe(1)
  expect(refused.stderr).not.toContain('unexpected error')
})

test('gc keeps what the chosen scope uses, asks first, and counts only with --dry', async () => {
  const station = await startProject()
  write(station, { 'd/a': 'a\n', 'd/b': 'b\n' })
  await station.cairn('add', 'd')
  station.git('add', '-A')
  station.git('commit', '-qm', '1')
  station.git('tag', 'v1')
  unlinkSync(path.join(station.dir, 'd/a'))
  await station.cairn('add', 'd')
  const cache = () => folderDigest(path.join(station.dir, '.dvc/cache'))
  const before = cache()
  expect((await station.tryCairn('gc')).code).toBe(255)
  expect((await station.tryCairn('gc', '-w')).code).toBe(1)
  const dry = await station.cairn('gc', '-w', '--dry')
  expect(dry.stdout).toMatch(/^Removing .*\/60\/b725f10c9c85c70d97880dfe8191b3 \(2, d\/a\)$/m)
  expect(dry.stdout).toContain('Removed 2 objects from repo cache.\n')
  expect((await station.cairn('gc', '-w', '-T', '-f')).stdout).toContain("No unused 'repo' cache to remove.")
  expect(cache()).toBe(before)
  await station.cairn('gc', '-w', '-f')
  expect(cache()).not.toBe(before)
  expect((await station.cairn('status')).stdout).toContain('up to date')
  await station.cairn('remote', 'add', '-d', 'server', 'http://127.0.0.1:1/x')
  const refused = await station.tryCairn('gc', '-w', '-c', '-f')
  expect(refused.code).toBe(255)
  expect(refused.stderr).toContain('A Cairn server owns deletion')
})

test('merging branches merges tracked folders: additions, edits and removals', async () => {
  const station = await startProject()
  write(station, { '.gitattributes': '*.dvc merge=dvc\n', 'd/edit': '1\n', 'd/gone': '2\n', 'd/both': '3\n' })
  await station.cairn('add', 'd')
  await station.cairn('install')
  station.git('add', '-A')
  station.git('commit', '-qm', 'base')
  station.git('checkout', '-qb', 'other')
  write(station, { 'd/edit': 'edited\n', 'd/new': 'n\n' })
  await station.cairn('add', 'd')
  station.git('commit', '-qam', 'other')
  station.git('checkout', '-q', 'main')
  expect(read(station, 'd/edit')).toBe('1\n')
  unlinkSync(path.join(station.dir, 'd/gone'))
  await station.cairn('add', 'd')
  station.git('commit', '-qam', 'mine')
  station.git('merge', '-q', '--no-edit', 'other')
  await station.cairn('checkout')
  expect((await run('ls', ['-A', 'd'], { cwd: station.dir })).stdout).toBe('both\nedit\nnew\n')
  expect(read(station, 'd/edit')).toBe('edited\n')
})
