import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWorkstation, type Workstation } from '../rig/project.ts'
import { type Client, must, use, writeFiles } from '../rig/two-clients.ts'

const CLIENTS: readonly Client[] = ['dvc', 'cairn']
const LONG = { timeout: 600_000 }

const stations: Workstation[] = []
afterAll(() => stations.forEach((station) => station.remove()))

function newStation(): Workstation {
  const station = createWorkstation()
  stations.push(station)
  return station
}

function commit(station: Workstation, message: string): void {
  station.git('add', '-A')
  station.git('commit', '-qm', message)
}

/** Every file outside of the tools' own folders with its text and x bit. */
function standing(station: Workstation): Record<string, string> {
  const found: Record<string, string> = {}
  const visit = (folder: string): void => {
    for (const entry of readdirSync(path.join(station.dir, folder), { withFileTypes: true })) {
      const name = path.posix.join(folder, entry.name)
      if (name === '.git' || name === '.dvc') continue
      if (entry.isDirectory()) visit(name)
      else
        found[name] =
          `${statSync(path.join(station.dir, name)).mode & 0o100} ${readFileSync(path.join(station.dir, name), 'latin1')}`
    }
  }
  visit('')
  return found
}

/** The order of lines, and of lists in JSON, is not stable in stock dvc; `cairn` calls itself so in its hints. */
const lines = (text: string): string[] => text.replaceAll('"cairn ', '"dvc ').trimEnd().split('\n').toSorted()
const settled = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(settled).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, settled(each)]))
}

/** Both tools look at the same repository, and say the same. */
async function sameAnswer(station: Workstation, ...args: string[]): Promise<void> {
  const theirs = await use('dvc', station, ...args)
  const ours = await use('cairn', station, ...args)
  const what = `${args.join(' ')}\n${ours.stderr}`
  expect(ours.code, what).toBe(theirs.code)
  if (theirs.code === 254) return
  if (args.includes('--json') && theirs.code === 0)
    expect(settled(JSON.parse(ours.stdout)), what).toEqual(settled(JSON.parse(theirs.stdout)))
  else expect(lines(ours.stdout), what).toEqual(lines(theirs.stdout))
}

/** The same repository once for each tool. */
async function pair(files: Record<string, string>, tracked: readonly string[]): Promise<Record<Client, Workstation>> {
  const made = {} as Record<Client, Workstation>
  for (const client of CLIENTS) {
    const station = newStation()
    station.git('init', '-q', '-b', 'main')
    await must('dvc', station, 'init', '-q')
    // Files that nothing tracks yet are not to be Git's either.
    if (tracked.length === 0) commit(station, 'none')
    writeFiles(station, files)
    if (tracked.length > 0) await must('dvc', station, 'add', '-q', ...tracked)
    if (tracked.length > 0) commit(station, 'one')
    made[client] = station
  }
  return made
}

/** Both tools do the same, each in its own repository: the exit codes and all files are equal then. */
async function sameDeed(both: Record<Client, Workstation>, ...args: string[]): Promise<void> {
  const theirs = await use('dvc', both.dvc, ...args)
  const ours = await use('cairn', both.cairn, ...args)
  expect(ours.code, `${args.join(' ')}\n${ours.stderr}\n${theirs.stderr}`).toBe(theirs.code)
  expect(standing(both.cairn), args.join(' ')).toEqual(standing(both.dvc))
}

const FILES = { 'dir/a': 'a\n', 'dir/b': 'b\n', 'dir/sub/c': 'c\n', 's/x': 'x\n', one: 'one\n', two: 'two\n' }

describe('data status and diff say the same as dvc', () => {
  let here: Workstation
  beforeAll(async () => {
    here = (await pair(FILES, ['dir', 'one', 'two', 's/x'])).dvc
  }, 120_000)

  const STATUS = [
    [],
    ['--json'],
    ['--granular'],
    ['--granular', '--json', '--unchanged', '--untracked-files', 'all'],
    ['--unchanged', '--untracked-files'],
    ['--granular', '--unchanged', '--json', 'one', 'dir/sub'],
    ['nope'],
    ['--untracked-files', 'some'],
  ]
  const DIFF = [
    [],
    ['--json'],
    ['--show-hash'],
    ['--md', '--show-hash'],
    ['--json', '--show-hash', '--hide-missing'],
    ['--json', '--targets', 'dir/sub/c', 'dir/a'],
    ['--targets', 'nope'],
    ['nope'],
  ]
  async function allTheSame(): Promise<void> {
    for (const args of STATUS) await sameAnswer(here, 'data', 'status', ...args)
    for (const args of DIFF) await sameAnswer(here, 'diff', ...args)
  }

  test('when nothing changed', LONG, allTheSame)

  test('with committed and uncommitted changes', LONG, async () => {
    writeFiles(here, { 'dir/a': 'A2\n', 'dir/n': 'n\n', one: 'one more\n', untracked: '' })
    rmSync(path.join(here.dir, 'dir/b'))
    await must('dvc', here, 'add', '-q', 'dir')
    rmSync(path.join(here.dir, 'two'))
    await allTheSame()
  })

  test('with renames, between commits, and from a sub-folder', LONG, async () => {
    commit(here, 'two')
    await must('cairn', here, 'checkout', '-q', '-f')
    await must('cairn', here, 'move', '-q', 'one', 'uno')
    renameSync(path.join(here.dir, 'dir/sub'), path.join(here.dir, 'dir/sub2'))
    await must('cairn', here, 'add', '-q', 'dir')
    await allTheSame()
    commit(here, 'three')
    for (const args of [['HEAD~1'], ['HEAD~2', 'HEAD', '--json', '--show-hash'], ['HEAD', 'HEAD', '--json']])
      await sameAnswer(here, 'diff', ...args)
    await sameAnswer(here.at(path.join(here.dir, 's')), 'data', 'status', '--granular', '--json', '--untracked-files')
    await sameAnswer(here.at(path.join(here.dir, 's')), 'diff', '--json', 'HEAD~1')
  })

  test('when the cache lacks files, and the workspace too', LONG, async () => {
    rmSync(path.join(here.dir, '.dvc/cache/files/md5/cc'), { recursive: true })
    for (const args of [[], ['--granular', '--json']]) await sameAnswer(here, 'data', 'status', ...args)
    await sameAnswer(here, 'diff', '--json')
    rmSync(path.join(here.dir, 'dir'), { recursive: true })
    for (const args of [[], ['--granular', '--json']]) await sameAnswer(here, 'data', 'status', ...args)
    await sameAnswer(here, 'diff', '--json', '--show-hash')
  })

  test('about a remote', LONG, async () => {
    await must('dvc', here, 'remote', 'add', '-q', 'st', path.join(here.home, 'remote'))
    mkdirSync(path.join(here.home, 'remote'))
    await must('dvc', here, 'push', '-q', '-r', 'st', 'two')
    await sameAnswer(here, 'data', 'status', '--not-in-remote', '-r', 'st', '--json')
    await sameAnswer(here, 'data', 'status', '--not-in-remote', '-r', 'nope')
  })
})

describe('check-ignore says the same as dvc', () => {
  let here: Workstation
  beforeAll(async () => {
    const files = {
      '.dvcignore': '# head\n*.log\n!keep.log\n/tmp\nsub/\n',
      'inner/.dvcignore': 'x.txt\n/deep/*.bin\n',
      'sub/f': '',
      b: '',
    }
    here = (await pair(files, [])).dvc
  }, 120_000)

  test.each([
    ['a.log', 'keep.log', 'b'],
    ['-d', 'a.log', 'keep.log', 'sub/f', 'sub', 'nosub/'],
    ['-d', '-n', 'a.log', 'b', 'keep.log'],
    ['keep.log'],
    ['-d', 'keep.log'],
    ['b'],
    ['-d', 'inner/x.txt', 'inner/deep/y.bin', 'inner/deep/er/y.bin', 'x.txt'],
    ['-d', '.dvc/x', '.git', '.git/x'],
    ['-n', 'a.log'],
    ['--stdin', 'a'],
    [],
    ['../outside'],
  ])('of %s %s %s %s %s', LONG, async (...args: string[]) => {
    await sameAnswer(here, 'check-ignore', ...args)
  })
})

describe('what is done to tracked data leaves the same files as dvc', () => {
  test('move: files, folders, into and out of folders, and what it refuses', LONG, async () => {
    const both = await pair({ ...FILES, 'archive/.keep': '' }, ['dir', 'one', 'two'])
    await sameDeed(both, 'move', 'one', 'uno')
    await sameDeed(both, 'move', 'two', 'archive')
    await sameDeed(both, 'move', 'dir', 'folder')
    await sameDeed(both, 'move', 'folder', 'archive/')
    await sameDeed(both, 'move', 'archive/two', '.')
    for (const [from, to] of [
      ['nope', 'x'],
      ['archive/folder/a', 'y'],
      ['uno', 'no/such/folder'],
      ['uno', 'dvc.yaml'],
    ] as const)
      await sameDeed(both, 'move', from, to)
    expect((await use('dvc', both.cairn, 'status', '--json')).stdout.trim()).toBe('{}')
    expect((await use('cairn', both.dvc, 'status', '--json')).stdout.trim()).toBe('{}')
  })

  test('add: patterns, from elsewhere, and what it refuses', LONG, async () => {
    const both = await pair({ 'g/1.txt': '1\n', 'g/2.txt': '22\n', 'g/3.dat': '3\n', 'folder/p': 'p\n', 'folder/q/r': 'r\n' }, [])
    for (const client of CLIENTS) {
      writeFileSync(path.join(both[client].home, 'outside'), 'out\n')
      mkdirSync(path.join(both[client].dir, 'into'))
    }
    await sameDeed(both, 'add', '--glob', 'g/*.txt')
    await sameDeed(both, 'add', '--glob', 'g/**/*.nope')
    await sameDeed(both, 'add', '../outside')
    await sameDeed(both, 'add', '-o', 'in', '../outside')
    await sameDeed(both, 'add', '-o', 'in', '../outside')
    await sameDeed(both, 'add', '-o', 'into/', '../outside')
    await sameDeed(both, 'add', '-f', '-o', 'in', 'g/3.dat')
    await sameDeed(both, 'add', '-o', 'copy', 'folder')
    await sameDeed(both, 'add', '--glob', '-o', 'x', 'a')
    await sameDeed(both, 'add', '-o', 'x', 'a', 'b')
    await sameDeed(both, 'add', '-r', 'st', 'g/3.dat')
    await sameDeed(both, 'add', '--remote-jobs', '2', 'g/3.dat')
    expect((await use('dvc', both.cairn, 'status', '--json')).stdout.trim()).toBe('{}')
  })

  test('add --to-remote: the same .dvc files and objects, and the other tool pulls them', LONG, async () => {
    const both = await pair({ 'folder/p': 'p\n', 'folder/q/r': 'r\n' }, [])
    for (const client of CLIENTS) {
      const station = both[client]
      writeFileSync(path.join(station.home, 'outside'), 'out\n')
      mkdirSync(path.join(station.home, 'remote'))
      await must('dvc', station, 'remote', 'add', '-q', 'st', path.join(station.home, 'remote'))
      await must(client, station, 'add', '-q', '--to-remote', '-r', 'st', '-o', 'far', '../outside')
      await must(client, station, 'add', '-q', '--to-remote', '-r', 'st', 'folder')
      expect((await use(client, station, 'add', '--to-remote', '-r', 'nope', 'folder')).code).toBe(1)
      expect((await use(client, station, 'add', '--to-remote', '-r', 'st', 'absent')).code).toBe(1)
      expect(existsSync(path.join(station.dir, 'far'))).toBe(false)
    }
    const stageFiles = (station: Workstation) => Object.entries(standing(station)).filter(([name]) => name.endsWith('.dvc'))
    expect(stageFiles(both.cairn)).toEqual(stageFiles(both.dvc))
    await must('dvc', both.cairn, 'pull', '-q', '-r', 'st')
    await must('cairn', both.dvc, 'pull', '-q', '-r', 'st')
    for (const station of Object.values(both)) expect(readFileSync(path.join(station.dir, 'far'), 'utf8')).toBe('out\n')
  })

  test('add inside of a folder of which nothing is here: only its listing is fetched', LONG, async () => {
    const both = await pair({ 'dir/a': 'a\n', 'dir/b': 'bbbb\n', 'dir/c': 'ccc\n' }, ['dir'])
    for (const client of CLIENTS) {
      const station = both[client]
      mkdirSync(path.join(station.home, 'remote'))
      await must('dvc', station, 'remote', 'add', '-q', '-d', 'st', '../remote')
      await must('dvc', station, 'push', '-q')
    }
    const forget = (station: Workstation) => {
      for (const name of ['dir', '.dvc/cache']) rmSync(path.join(station.dir, name), { recursive: true, force: true })
      rmSync(path.join(station.home, '.dvc-site'), { recursive: true, force: true })
      station.git('checkout', '-q', 'dir.dvc')
    }
    for (const files of [{ 'dir/n': 'new\n' }, { 'dir/a': 'changed\n' }, { 'dir/deep/er/m': 'm\n' }]) {
      for (const client of CLIENTS) {
        forget(both[client])
        writeFiles(both[client], files)
      }
      await sameDeed(both, 'add', ...Object.keys(files))
    }
    const objects = readdirSync(path.join(both.cairn.dir, '.dvc/cache/files/md5'), { recursive: true }).map(String)
    expect(objects.filter((name) => name.includes('/'))).toHaveLength(3)
    for (const client of CLIENTS) {
      forget(both[client])
      mkdirSync(path.join(both[client].dir, 'dir'))
    }
    await sameDeed(both, 'add', 'dir/c')
  })

  test('remove and unprotect', LONG, async () => {
    const both = await pair(FILES, ['dir', 'one', 'two', 's/x'])
    for (const client of CLIENTS) {
      await must('dvc', both[client], 'config', 'cache.type', 'hardlink')
      await must(client, both[client], 'checkout', '-q', '--relink')
    }
    await sameDeed(both, 'unprotect', 'dir', 'one')
    for (const station of Object.values(both)) expect(statSync(path.join(station.dir, 'dir/a')).mode & 0o222).not.toBe(0)
    await sameDeed(both, 'unprotect', 'nope')
    await sameDeed(both, 'remove', 'one')
    await sameDeed(both, 'remove', 'one.dvc', 'two.dvc')
    await sameDeed(both, 'remove', 'nope.dvc')
    await sameDeed(both, 'remove', 'dir.dvc', '--outs')
    await sameDeed(both, 'remove', 's/x.dvc')
  })

  test('a .dvc file of DVC 2 stays as it is until its content changes', LONG, async () => {
    const both = await pair({ 'crlf.txt': 'a\r\nb\r\n', '.gitignore': '/crlf.txt\n' }, [])
    const text = '# kept\nouts:\n- md5: dd8c6a395b5dd36c56d23275028f526c\n  size: 6\n  path: crlf.txt\n'
    for (const station of Object.values(both)) {
      const object = path.join(station.dir, '.dvc/cache/dd/8c6a395b5dd36c56d23275028f526c')
      mkdirSync(path.dirname(object), { recursive: true })
      cpSync(path.join(station.dir, 'crlf.txt'), object)
      chmodSync(object, 0o444)
      writeFiles(station, { 'crlf.txt.dvc': text })
    }
    for (const station of Object.values(both)) await sameAnswer(station, 'status', '--json')
    await sameDeed(both, 'checkout')
    await sameDeed(both, 'add', 'crlf.txt')
    expect(readFileSync(path.join(both.cairn.dir, 'crlf.txt.dvc'), 'utf8')).toBe(text)
    for (const station of Object.values(both)) writeFiles(station, { 'crlf.txt': 'changed\r\n' })
    await sameAnswer(both.cairn, 'status', '--json')
    await sameDeed(both, 'add', 'crlf.txt')
    await sameAnswer(both.cairn, 'status', '--json')
  })
})

test('status and checkout of every selection do the same as dvc', LONG, async () => {
  const both = await pair({ ...FILES, 'g/1.txt': '1\n', 'g/deep/2.txt': '22\n' }, ['dir', 'one', 'g/1.txt', 'g/deep/2.txt'])
  for (const station of Object.values(both)) {
    await must('dvc', station, 'stage', 'add', '-q', '-n', 's', '-d', 'one', '-d', 'g/1.txt', '-o', 'so', 'cat one g/1.txt > so')
    await must('dvc', station, 'repro', '-q')
  }
  const both2 = (...args: string[]) => Promise.all(Object.values(both).map((station) => sameAnswer(station, ...args)))
  const spoil = () => {
    for (const station of Object.values(both)) {
      for (const name of ['dir/a', 'so', 'g/1.txt']) rmSync(path.join(station.dir, name), { force: true })
      writeFiles(station, { one: 'x\n' })
    }
  }
  await both2('status')
  await sameDeed(both, 'checkout', '--summary')
  spoil()
  for (const args of [[], ['--json'], ['-q'], ['-R', 'g'], ['s'], ['-d', 's'], ['nope'], ['one', 'g/1.txt'], ['-a'], ['-j', '2']])
    await both2('status', ...args)
  await sameDeed(both, 'checkout', 'dir/a')
  await sameDeed(both, 'checkout', 'one')
  await sameDeed(both, 'checkout', '-R', 'g', '--summary')
  await sameDeed(both, 'checkout', '-f', '-d', 's')
  await sameDeed(both, 'checkout')
  for (const station of Object.values(both)) rmSync(path.join(station.dir, 'dir'), { recursive: true })
  await sameDeed(both, 'checkout', 'dir/sub')
  await sameDeed(both, 'checkout', 'nope')
  await sameDeed(both, 'checkout', '--relink')
  for (const station of Object.values(both)) {
    rmSync(path.join(station.dir, '.dvc/cache/files/md5/5b'), { recursive: true })
    rmSync(path.join(station.dir, 'one'))
  }
  await sameDeed(both, 'checkout', 'one')
  await sameDeed(both, 'checkout', '--allow-missing', 'one')
})

test('a file of a folder stays executable where it stands, and is not when it comes back, as with dvc', LONG, async () => {
  const both = await pair({ 'tools/run': '#!/bin/sh\n', 'tools/plain': 'plain\n' }, [])
  const everywhere = (act: (file: (name: string) => string) => void) =>
    Object.values(both).forEach((station) => act((name) => path.join(station.dir, name)))
  everywhere((file) => chmodSync(file('tools/run'), 0o755))
  await sameDeed(both, 'add', 'tools')
  expect(standing(both.cairn)['tools/run']).toMatch(/^64 /)
  everywhere((file) => rmSync(file('tools/plain')))
  await sameDeed(both, 'checkout')
  everywhere((file) => rmSync(file('tools'), { recursive: true }))
  await sameDeed(both, 'checkout')
  expect(standing(both.cairn)['tools/run']).toMatch(/^0 /)
  await sameDeed(both, 'status')
})
