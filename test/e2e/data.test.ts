import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createWorkstation, run, type Workstation } from '../rig/project.ts'

let here: Workstation
const file = (name: string) => path.join(here.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
const write = (name: string, text: string) => {
  mkdirSync(path.dirname(file(name)), { recursive: true })
  writeFileSync(file(name), text)
}
const commit = (message: string) => {
  here.git('add', '-A')
  here.git('commit', '-qm', message)
}
const out = async (...args: string[]) => (await here.cairn(...args)).stdout

beforeEach(async () => {
  here = createWorkstation()
  here.git('init', '-q', '-b', 'main')
  await here.cairn('init', '-q')
})
afterEach(() => here.remove())

test('diff and data status follow a change from the workspace into the history', async () => {
  write('data/a', 'a\n')
  write('data/b', 'b\n')
  await here.cairn('add', '-q', 'data')
  commit('one')
  expect([await out('diff'), await out('diff', '--json'), await out('data', 'status')]).toEqual(['', '{}\n', 'No changes.\n'])
  write('data/a', 'changed\n')
  expect(JSON.parse(await out('data', 'status', '--json', '--granular'))).toEqual({
    uncommitted: { modified: ['data/', 'data/a'] },
  })
  await here.cairn('add', '-q', 'data')
  expect(JSON.parse(await out('data', 'status', '--json'))).toEqual({ committed: { modified: ['data/'] } })
  commit('two')
  expect(await out('diff', 'HEAD~1', 'HEAD')).toBe('Modified:\n    data/\n    data/a\n\nfiles summary: 1 modified\n')
  expect(await here.tryCairn('diff', 'nope')).toMatchObject({
    code: 1,
    stderr: "ERROR: failed to get diff - unknown Git revision 'nope'\n",
  })
})

describe('cairn move', () => {
  test('overwrites nothing, and a failure leaves all as it was', async () => {
    write('one', 'one\n')
    await here.cairn('add', '-q', 'one')
    commit('one')
    write('mine', 'precious\n')
    const refused = await here.tryCairn('move', 'one', 'mine')
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("'mine' exists already")])
    expect([read('mine'), read('one'), here.git('status', '--short')]).toEqual(['precious\n', 'one\n', '?? mine'])
  })

  test('keeps comments and descriptions, and the name of a .dvc file that is called otherwise', async () => {
    write('one', 'one\n')
    mkdirSync(file('deep'))
    await here.cairn('add', '-q', '--file', 'labels.dvc', 'one')
    write('labels.dvc', `# by hand\n${read('labels.dvc')}  desc: of mine\n`)
    await here.cairn('move', '-q', 'one', 'deep/uno')
    expect(read('labels.dvc')).toBe(
      '# by hand\nouts:\n- md5: 5bbf5a52328e7439ae6e719dfe712200\n  size: 4\n  hash: md5\n  path: deep/uno\n  desc: of mine\n',
    )
    expect([read('deep/.gitignore'), existsSync(file('.gitignore'))]).toEqual(['/uno\n', false])
    expect(await out('status')).toBe('Data and pipelines are up to date.\n')
  })
})

test('add --glob passes over the .dvc files that it made before', async () => {
  write('a.csv', 'a\n')
  write('b.csv', 'b\n')
  await here.cairn('add', '-q', '--glob', '*')
  await here.cairn('add', '-q', '--glob', '*')
  expect(readdirSync(here.dir).filter((name) => name.endsWith('.dvc') && name !== '.dvc')).toEqual(['a.csv.dvc', 'b.csv.dvc'])
})

test('add --to-remote leaves no trace but the .dvc file, and Git does not see what a pull brings', async () => {
  const [outside, remote] = [path.join(here.home, 'outside'), path.join(here.home, 'remote')]
  writeFileSync(outside, 'far away\n', { mode: 0o640 })
  mkdirSync(remote)
  await here.cairn('remote', 'add', '-q', '-d', 'st', remote)
  await here.cairn('add', '-q', '--to-remote', '-o', 'far', outside)
  expect([existsSync(file('far')), existsSync(file('.dvc/cache/files'))]).toEqual([false, false])
  expect(statSync(outside).mode & 0o777).toBe(0o640)
  commit('far')
  await here.cairn('pull', '-q')
  expect([read('far'), here.git('status', '--short')]).toEqual(['far away\n', ''])
})

test('add -o does not touch what stands there when the source cannot be copied', async () => {
  write('mine', 'precious\n')
  const refused = await here.tryCairn('add', '-f', '-o', 'mine', path.join(here.home, 'absent'))
  expect([refused.code, read('mine')]).toEqual([1, 'precious\n'])
})

describe('better than stock', () => {
  test('add ends on a pipe inside of a folder, names what is not UTF-8, and says which folder link it leaves out', async () => {
    write('data/a', 'a\n')
    await run('mkfifo', [file('data/pipe')], { cwd: here.dir })
    const pipe = await here.tryCairn('add', 'data')
    expect([pipe.code, pipe.stderr]).toEqual([1, expect.stringContaining('named pipe')])
    rmSync(file('data/pipe'))
    writeFileSync(Buffer.concat([Buffer.from(`${file('data')}/`), Buffer.from([0x66, 0xff])]), 'x')
    const name = await here.tryCairn('add', 'data')
    expect([name.code, name.stderr]).toEqual([1, expect.stringContaining('f\\xff')])
    rmSync(Buffer.concat([Buffer.from(`${file('data')}/`), Buffer.from([0x66, 0xff])]))
    symlinkSync('/tmp', file('data/elsewhere'))
    const link = await here.cairn('add', 'data')
    expect(link.stderr).toContain("'data/elsewhere' is a symlink to a folder")
  })

  test('remove and checkout together do not delete data', async () => {
    write('one', 'one\n')
    await here.cairn('add', '-q', 'one')
    await here.cairn('remove', 'one.dvc')
    await here.cairn('checkout')
    expect(read('one')).toBe('one\n')
  })

  test('a failed checkout keeps the workspace copy', async () => {
    write('one', 'one\n')
    await here.cairn('add', '-q', 'one')
    write('one', 'two\n')
    await here.cairn('add', '-q', 'one')
    const text = read('one.dvc').replace(/md5: \w{32}/, `md5: ${'0'.repeat(32)}`)
    write('one.dvc', text)
    expect((await here.tryCairn('checkout', '-f')).code).toBe(255)
    expect(read('one')).toBe('two\n')
  })

  test('a damaged object is found out at checkout, although it is read-only', async () => {
    write('one', 'one\n')
    await here.cairn('add', '-q', 'one')
    const object = file('.dvc/cache/files/md5/5b/bf5a52328e7439ae6e719dfe712200')
    chmodSync(object, 0o644)
    writeFileSync(object, 'bad\n')
    chmodSync(object, 0o444)
    rmSync(file('one'))
    expect((await here.tryCairn('checkout')).code).toBe(255)
    expect(existsSync(file('one'))).toBe(false)
  })
})

test('a rule of a .dvcignore at any level holds for adding, and check-ignore names it', async () => {
  write('deep/.dvcignore', '*.log\n!keep.log\n')
  write('deep/data/a.txt', 'a\n')
  write('deep/data/b.log', 'b\n')
  write('deep/data/keep.log', 'k\n')
  await here.cairn('add', '-q', 'deep/data')
  expect(read('deep/data.dvc')).toContain('nfiles: 2')
  expect(await out('check-ignore', '-d', 'deep/data/b.log', 'deep/data/keep.log')).toBe(
    'deep/.dvcignore:1:*.log\tdeep/data/b.log\ndeep/.dvcignore:2:!keep.log\tdeep/data/keep.log\n',
  )
  const refused = await here.tryCairn('add', 'deep/data/b.log')
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('is ignored by .dvcignore')])
})
