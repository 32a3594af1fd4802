import {
  chmodSync,
  existsSync,
  lstatSync,
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
import { createWorkstation, type Workstation } from '../rig/project.ts'

let here: Workstation
const file = (name: string) => path.join(here.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
const write = (name: string, text: string) => {
  mkdirSync(path.dirname(file(name)), { recursive: true })
  writeFileSync(file(name), text)
}
/** Exit code and the one line (or dvc's several) of an error. */
const failure = async (...args: string[]) => {
  const { code, stderr } = await here.tryCairn(...args)
  return { code, stderr }
}
const commit = (message: string) => {
  here.git('add', '-A')
  here.git('commit', '-qm', message)
}

beforeEach(async () => {
  here = createWorkstation()
  here.git('init', '-q', '-b', 'master')
  await here.cairn('init', '-q')
})
afterEach(() => here.remove())

describe('cairn add', () => {
  test('writes what dvc writes, for files and folders, in their own folders', async () => {
    write('foo', 'foo\n')
    write('deep/data/crlf.txt', 'a\r\nb\r\n')
    write('deep/data/run.sh', '#!/bin/sh\n')
    write('deep/data/sub/ünï "q".txt', 'x\n')
    write('deep/data/zero', '')
    symlinkSync('crlf.txt', file('deep/data/link'))
    write('exe.sh', '#!/bin/sh\n')
    chmodSync(file('exe.sh'), 0o755)
    const done = await here.cairn('add', 'foo', 'deep/data/', 'exe.sh')
    expect(read('foo.dvc')).toBe('outs:\n- md5: d3b07384d113edec49eaa6238ad5ff00\n  size: 4\n  hash: md5\n  path: foo\n')
    expect(read('deep/data.dvc')).toBe(
      'outs:\n- md5: c900457a54386b2fe4f92546db792811.dir\n  size: 24\n  nfiles: 5\n  hash: md5\n  path: data\n',
    )
    expect(read('exe.sh.dvc')).toBe(
      'outs:\n- md5: 3e2b31c72181b87149ff995e7202c0e3\n  size: 10\n  isexec: true\n  hash: md5\n  path: exe.sh\n',
    )
    expect([read('.gitignore'), read('deep/.gitignore')]).toEqual(['/foo\n/exe.sh\n', '/data\n'])
    expect(done.stdout).toContain('\tgit add .gitignore deep/.gitignore deep/data.dvc exe.sh.dvc foo.dvc\n')
    expect((await here.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
  })

  test('of the same again changes nothing and hints at nothing', async () => {
    write('foo', 'foo\n')
    await here.cairn('add', 'foo')
    const before = statSync(file('foo.dvc'))
    expect((await here.cairn('add', 'foo')).stdout).toBe('')
    expect(statSync(file('foo.dvc')).mtimeMs).toBe(before.mtimeMs)
  })

  test('of changed content keeps the description, comments and order of the file', async () => {
    write('x', 'one')
    write('x.dvc', '# head\nouts:\n- path: x\n  md5: 0cc175b9c0f1b6a831c399e269772661\n  desc: my data\nmeta:\n  a: [1, 2]\n')
    await here.cairn('add', 'x')
    expect(read('x.dvc')).toBe(
      '# head\nouts:\n- path: x\n  md5: f97c5d29941bfb1b2fdab0874906ab82\n  desc: my data\n  size: 3\n  hash: md5\nmeta:\n  a: [1, 2]\n',
    )
  })

  test('stages the files itself when told so', async () => {
    await here.cairn('config', 'core.autostage', 'true')
    write('foo', 'foo\n')
    expect((await here.cairn('add', 'foo')).stdout).toBe('')
    expect(here.git('diff', '--cached', '--name-only').split('\n')).toEqual(expect.arrayContaining(['.gitignore', 'foo.dvc']))
  })

  test('works from a sub-folder, and writes the .dvc file that it is told to', async () => {
    write('sub/foo', 'foo\n')
    const sub = here.at(file('sub'))
    await sub.cairn('add', 'foo')
    expect(read('sub/foo.dvc')).toContain('path: foo')
    write('a', 'a')
    write('b', 'b')
    await here.cairn('add', '--file', 'labels.dvc', 'a')
    await here.cairn('add', '-f', 'older.dvc', 'b')
    expect([read('labels.dvc'), read('older.dvc')]).toEqual([
      expect.stringContaining('path: a\n'),
      expect.stringContaining('path: b\n'),
    ])
    expect((await here.tryCairn('add', '--file', 'c.dvc', 'a', 'b')).code).toBe(1)
  })

  test('of a path inside of a tracked folder updates that folder', async () => {
    write('data/a', 'a')
    write('data/sub/b', 'b')
    await here.cairn('add', 'data')
    write('data/sub/c', 'cc')
    write('data/a', 'changed')
    await here.cairn('add', 'data/sub')
    expect(read('data.dvc')).toMatch(/size: 4\n {2}nfiles: 3\n/)
    expect(existsSync(file('data/sub.dvc'))).toBe(false)
    rmSync(file('data/sub/b'))
    await here.cairn('add', 'data/sub/b')
    expect(read('data.dvc')).toMatch(/size: 3\n {2}nfiles: 2\n/)
    rmSync(file('data'), { recursive: true })
    await here.cairn('checkout')
    expect([read('data/a'), read('data/sub/c')]).toEqual(['a', 'cc'])
  })

  test('refuses, in dvc’s words and with 1, what cannot be added; and adds nothing of the rest', async () => {
    write('tracked', 't')
    commit('tracked')
    write('good', 'good')
    write('dir/a', 'a')
    await here.cairn('add', 'dir/a')
    symlinkSync('dir', file('alias'))
    write('a.log', '')
    write('.dvcignore', '*.log\n')
    const cases: Array<[string, string]> = [
      ['nonexist', `output 'nonexist' does not exist: [Errno 2] No such file or directory: '${file('nonexist')}'`],
      ['tracked', "output 'tracked' is already tracked by SCM (e.g. Git)."],
      ['dir', "Cannot add 'dir', because it is overlapping with other DVC tracked output: 'dir/a'."],
      ['dir/a.dvc', "DVC file 'dir/a.dvc' cannot be an output."],
      ['alias/a', 'Cannot add files inside symlinked directories to DVC'],
      ['a.log', `Path '${file('a.log')}' is ignored by .dvcignore`],
      ['/etc/hostname', 'Cached output(s) outside of DVC project: /etc/hostname.'],
      ['.', 'is the repository itself'],
    ]
    for (const [target, words] of cases) {
      expect(await failure('add', 'good', target)).toEqual({ code: 1, stderr: expect.stringContaining(words) })
    }
    expect(existsSync(file('good.dvc'))).toBe(false)
  })

  test('refuses the output of a stage, and a .dvc file that Git would not see', async () => {
    await here.cairn('run', '-f', 'make.dvc', '-o', 'out', 'echo made > out')
    expect(await failure('add', 'out')).toEqual({
      code: 1,
      stderr: expect.stringContaining("cannot update 'out': overlaps with an output of stage: 'make.dvc'"),
    })
    write('hidden/.gitignore', '*\n')
    write('hidden/foo', 'foo')
    expect(await failure('add', 'hidden/foo')).toEqual({
      code: 1,
      stderr: expect.stringContaining("bad DVC file name 'hidden/foo.dvc' is git-ignored."),
    })
  })

  test('without commit leaves the cache alone until commit', async () => {
    write('foo', 'foo\n')
    await here.cairn('add', '--no-commit', 'foo')
    expect(existsSync(file('.dvc/cache/files'))).toBe(false)
    await here.cairn('commit')
    expect(existsSync(file('.dvc/cache/files/md5/d3/b07384d113edec49eaa6238ad5ff00'))).toBe(true)
    write('foo', 'changed\n')
    expect(await failure('commit')).toEqual({
      code: 1,
      stderr: expect.stringContaining("unable to commit changed stage: 'foo.dvc'. Use `-f|--force` to force."),
    })
    await here.cairn('commit', '-f', 'foo.dvc')
    expect((await here.cairn('status')).stdout).toContain('up to date')
  })
})

describe('cairn checkout', () => {
  test('goes with git checkout: restores, changes and removes outputs and the folders that empties', async () => {
    write('data/a', 'one')
    write('model', 'm')
    await here.cairn('add', 'data', 'model')
    commit('one')
    here.git('tag', 'one')
    write('data/a', 'two')
    write('data/b', 'b')
    write('deep/er/extra', 'e')
    await here.cairn('add', 'data', 'deep/er/extra')
    await here.cairn('remove', 'model.dvc', '--outs')
    commit('two')
    here.git('checkout', '-q', 'one')
    expect((await here.cairn('checkout')).stdout).toBe('M       data/\nA       model\nD       deep/er/extra\n')
    expect([readdirSync(file('data')), read('data/a'), existsSync(file('deep'))]).toEqual([['a'], 'one', false])
    here.git('checkout', '-q', 'master')
    expect((await here.cairn('checkout', '--summary')).stdout).toBe('1 file modified, 2 files added and 1 file deleted\n')
    expect([read('data/a'), read('deep/er/extra'), existsSync(file('model'))]).toEqual(['two', 'e', false])
    expect((await here.cairn('checkout', '--summary')).stdout).toBe('No changes.\n')
  })

  test('prints long paths whole', async () => {
    const long = `${'a-long-folder-name/'.repeat(8)}file`
    write(long, 'x')
    await here.cairn('add', long)
    rmSync(file(long))
    expect((await here.cairn('checkout')).stdout).toBe(`A       ${long}\n`)
  })

  test('refuses to lose edits with 255, does it with -f, and says what the cache lacks', async () => {
    write('foo', 'foo\n')
    write('bar', 'bar\n')
    await here.cairn('add', 'foo', 'bar')
    write('foo', 'edited')
    expect(await failure('checkout', 'foo')).toEqual({
      code: 255,
      stderr: expect.stringContaining(
        `Can't remove the following unsaved files without confirmation. Use \`--force\` to force.\n${file('foo')}`,
      ),
    })
    rmSync(file('.dvc/cache/files/md5/c1'), { recursive: true })
    rmSync(file('bar'))
    const done = await here.tryCairn('checkout', '-f')
    expect([done.code, done.stdout]).toEqual([255, 'M       foo\n'])
    expect(done.stderr).toContain('Checkout failed for following targets:\nbar\nIs your cache up to date?')
    expect((await here.cairn('checkout', '-f', '--allow-missing')).code).toBe(0)
    expect(read('foo')).toBe('foo\n')
  })

  test('of an unknown target fails with 255', async () => {
    expect((await failure('checkout', 'nothing')).code).toBe(255)
  })

  test('relinks to the type that was configured since', async () => {
    write('foo', 'foo\n')
    await here.cairn('add', 'foo')
    await here.cairn('config', 'cache.type', 'symlink')
    expect((await here.cairn('checkout', '--relink')).stdout).toBe('Relinked successfully\n')
    expect(lstatSync(file('foo')).isSymbolicLink()).toBe(true)
    expect((await here.cairn('status')).stdout).toContain('up to date')
    await here.cairn('unprotect', 'foo')
    expect(lstatSync(file('foo')).isFile()).toBe(true)
  })

  test('leaves the outputs that no run has made yet, and those that Git keeps', async () => {
    write('in', '1')
    await here.cairn('run', '-f', 'm.dvc', '-d', 'in', '-M', 'metrics.json', 'cp in metrics.json')
    await here.cairn('repro', 'm.dvc')
    await here.cairn('run', '--no-exec', '-f', 'later.dvc', '-o', 'later', 'echo x > later')
    write('later', 'made by hand')
    expect((await here.cairn('checkout')).stdout).toBe('')
    expect([read('metrics.json'), read('later')]).toEqual(['1', 'made by hand'])
  })
})

describe('cairn remove', () => {
  test('stops tracking and keeps the data, also at the next checkout', async () => {
    write('foo', 'foo\n')
    write('data/a', 'a')
    await here.cairn('add', 'foo', 'data')
    await here.cairn('remove', 'foo.dvc')
    expect((await here.cairn('checkout')).stdout).toBe('')
    expect([read('foo'), existsSync(file('foo.dvc')), read('.gitignore')]).toEqual(['foo\n', false, '/data\n'])
    expect(await failure('remove', 'data')).toEqual({
      code: 1,
      stderr: expect.stringContaining("'data' is not a .dvc file. Do you mean 'data.dvc'?"),
    })
    write('data/a', 'edited')
    expect((await failure('remove', '--outs', 'data.dvc')).code).toBe(1)
    expect(read('data/a')).toBe('edited')
    await here.cairn('remove', '--outs', '-f', 'data.dvc')
    expect([existsSync(file('data')), existsSync(file('.gitignore'))]).toEqual([false, false])
  })
})
