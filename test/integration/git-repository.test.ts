import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { revisionTree, workingTree } from '../../client-cli/src/repo/file-tree.ts'
import { addToGitIgnore, removeFromGitIgnore } from '../../client-cli/src/repo/git-ignore.ts'
import { openGit, type Git } from '../../client-cli/src/repo/git.ts'
import { initRepo } from '../../client-cli/src/repo/init.ts'
import { openRepo } from '../../client-cli/src/repo/open.ts'

let dir: string
const opened: Git[] = []

beforeEach(() => {
  dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'cairn-git-')))
})
afterEach(async () => {
  for (const git of opened.splice(0)) await git.close()
  rmSync(dir, { recursive: true })
})

function git(...args: string[]): string {
  const identity = [
    '-c',
    'user.name=Ada',
    '-c',
    'user.email=ada@example.org',
    '-c',
    'init.defaultBranch=main',
    '-c',
    'protocol.file.allow=always',
  ]
  return execFileSync('git', [...identity, ...args], { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

function write(file: string, text = file): void {
  mkdirSync(path.dirname(path.join(dir, file)), { recursive: true })
  writeFileSync(path.join(dir, file), text)
}

function commit(message = 'x'): string {
  git('add', '-A')
  git('commit', '-qm', message)
  return git('rev-parse', 'HEAD')
}

function open(at = dir): Git {
  const found = openGit(at)
  if (!found) throw new Error(`no git at ${at}`)
  opened.push(found)
  return found
}

const repoAt = (at = dir) => {
  const repo = openRepo(at, { HOME: dir })
  if (repo.git) opened.push(repo.git)
  return repo
}

describe('git', () => {
  test('outside of a work tree there is none', () => {
    expect(openGit(dir)).toBeUndefined()
  })

  test('an unborn branch has no head', () => {
    git('init', '-q')
    expect([open().head(), open().branch()]).toEqual([undefined, undefined])
  })

  test('tells head, branch, branches and tags in version order', () => {
    git('init', '-q')
    write('a')
    const first = commit()
    for (const tag of ['0.9', '0.10', '0.2']) git('tag', tag)
    git('branch', 'feature/x')
    expect([open().head(), open().branch()]).toEqual([first, 'main'])
    expect(open().tags()).toEqual(['0.2', '0.9', '0.10'])
    expect(open().branches()).toEqual(['feature/x', 'main'])
    git('pack-refs', '--all')
    expect(open().head()).toBe(first)
    git('checkout', '-q', '0.9')
    expect([open().head(), open().branch()]).toEqual([first, undefined])
  })

  test('resolves tags, annotated too, and refuses what is none', () => {
    git('init', '-q')
    write('a')
    const sha = commit()
    git('tag', '-a', '-m', 'x', 'v1')
    expect(open().resolve('v1')).toBe(sha)
    for (const rev of ['nosuch', '--all', 'main:a']) expect(() => open().resolve(rev)).toThrow(`unknown Git revision '${rev}'`)
  })

  test('reads many files at a revision, also large, empty and oddly named ones', async () => {
    git('init', '-q')
    const large = 'x'.repeat(3_000_000)
    write('large', large)
    write('empty', '')
    write('with space\tand é', 'odd')
    write('line\nfeed', 'feed')
    write('sub/file')
    commit()
    const repository = open()
    const read = await Promise.all(
      ['large', 'empty', 'nosuch', 'sub', 'with space\tand é', 'line\nfeed', 'sub/file'].map((file) =>
        repository.read('HEAD', file),
      ),
    )
    expect(read.map((bytes) => bytes?.toString())).toEqual([large, '', undefined, undefined, 'odd', 'feed', 'sub/file'])
    expect(await repository.read('nosuch', 'large')).toBeUndefined()
    expect((await repository.list('HEAD')).toSorted()).toEqual(['empty', 'large', 'line\nfeed', 'sub/file', 'with space\tand é'])
    await repository.close()
    expect((await repository.read('HEAD', 'empty'))?.length).toBe(0)
  })

  test('a forgotten reader does not keep the process alive', () => {
    git('init', '-q')
    write('a', 'bytes')
    commit()
    const source = path.resolve(import.meta.dirname, '../../client-cli/src/repo/git.ts')
    const program = `import { openGit } from ${JSON.stringify(source)}; console.log(String(await openGit(${JSON.stringify(dir)}).read('HEAD', 'a')))`
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', timeout: 10_000 })).toBe(
      'bytes\n',
    )
  })

  test('knows what is ignored and what is tracked', () => {
    git('init', '-q')
    write('.gitignore', '/data/\n*.log\n')
    write('tracked.log')
    git('add', '-f', 'tracked.log', '.gitignore')
    mkdirSync(path.join(dir, 'data'))
    const repository = open()
    const ask = (file: string) => [repository.isIgnored(path.join(dir, file)), repository.isTracked(path.join(dir, file))]
    expect(ask('data')).toEqual([true, false])
    expect(ask('tracked.log')).toEqual([true, true])
    expect(ask('other')).toEqual([false, false])
    expect(ask('../outside')).toEqual([false, false])
    write('*', 'a name that is a pattern')
    expect(repository.isTracked(path.join(dir, '*'))).toBe(false)
  })

  test('opens worktrees and submodules, whose .git is a file', async () => {
    git('init', '-q')
    write('a')
    const sha = commit()
    git('worktree', 'add', '-q', '-b', 'side', path.join(dir, 'tree'))
    expect([
      open(path.join(dir, 'tree')).root,
      open(path.join(dir, 'tree')).head(),
      open(path.join(dir, 'tree')).branch(),
    ]).toEqual([path.join(dir, 'tree'), sha, 'side'])
    git('init', '-q', 'lib')
    writeFileSync(path.join(dir, 'lib/b'), 'b')
    git('-C', 'lib', 'add', '-A')
    git('-C', 'lib', 'commit', '-qm', 'b')
    git('submodule', '--quiet', 'add', './lib', 'sub')
    const module = open(path.join(dir, 'sub'))
    expect([module.root, module.head()]).toEqual([path.join(dir, 'sub'), git('-C', 'lib', 'rev-parse', 'HEAD')])
    expect((await module.read('HEAD', 'b'))?.toString()).toBe('b')
  })
})

describe('the stage files of a tree', () => {
  beforeEach(() => {
    git('init', '-q')
    initRepo(dir, { noScm: false, subdir: false, force: false })
    for (const file of [
      'dvc.yaml',
      'dvc.lock',
      'a.dvc',
      'Dvcfile',
      'sub/deep/b.dvc',
      'sub/plain.txt',
      'skip/c.dvc',
      'outs/d.dvc',
      'lost.dvc',
    ])
      write(file)
    write('nested/.dvc/config', '')
    write('nested/e.dvc')
    write('.dvcignore', 'skip\n')
    write('.gitignore', '/outs\nlost.dvc\n')
  })

  const wanted = ['Dvcfile', 'a.dvc', 'dvc.lock', 'dvc.yaml', 'sub/deep/b.dvc']

  test('in the working copy: what Git or .dvcignore ignores and nested repositories are left out', async () => {
    symlinkSync('../a.dvc', path.join(dir, 'sub/link.dvc'))
    symlinkSync('nowhere', path.join(dir, 'sub/dangling.dvc'))
    symlinkSync('..', path.join(dir, 'sub/circle'))
    expect(await workingTree(repoAt()).stageFiles()).toEqual([...wanted, 'sub/link.dvc'])
  })

  test('at a revision: as it was then', async () => {
    commit()
    git('tag', '0.1')
    rmSync(path.join(dir, 'a.dvc'))
    write('new.dvc')
    commit()
    const tree = revisionTree(repoAt(), '0.1')
    expect([tree.rev, await tree.stageFiles()]).toEqual(['0.1', wanted])
    expect((await tree.read('a.dvc'))?.toString()).toBe('a.dvc')
    expect(await tree.read('new.dvc')).toBeUndefined()
    expect(() => revisionTree(repoAt(), 'nosuch')).toThrow("unknown Git revision 'nosuch'")
  })

  test("below Git's root paths are the repository's own", async () => {
    rmSync(path.join(dir, 'nested/.dvc'), { recursive: true })
    initRepo(path.join(dir, 'nested'), { noScm: false, subdir: true, force: false })
    write('nested/outs/x.dvc')
    commit()
    const repo = repoAt(path.join(dir, 'nested'))
    expect([repo.root, repo.git?.root]).toEqual([path.join(dir, 'nested'), dir])
    expect(await workingTree(repo).stageFiles()).toEqual(['e.dvc', 'outs/x.dvc'])
    expect(await revisionTree(repo, 'HEAD').stageFiles()).toEqual(['e.dvc', 'outs/x.dvc'])
    expect((await revisionTree(repo, 'HEAD').read('e.dvc'))?.toString()).toBe('nested/e.dvc')
  })
})

describe('.gitignore entries', () => {
  beforeEach(() => {
    git('init', '-q')
    initRepo(dir, { noScm: false, subdir: false, force: false })
  })
  const read = (file: string) => readFileSync(path.join(dir, file), 'utf8')

  test("an output is named in its own folder's file, once, behind a completed last line", () => {
    write('sub/.gitignore', 'other')
    expect(addToGitIgnore(repoAt(), 'sub/data')).toBe('sub/.gitignore')
    expect(addToGitIgnore(repoAt(), 'sub/data')).toBeUndefined()
    expect(read('sub/.gitignore')).toBe('other\n/data\n')
  })

  test('nothing is added for what a rule covers already, nor in a folder that is not there', () => {
    write('.gitignore', '*.bin\n')
    expect([addToGitIgnore(repoAt(), 'x.bin'), addToGitIgnore(repoAt(), 'nowhere/x')]).toEqual([undefined, undefined])
    expect(read('.gitignore')).toBe('*.bin\n')
  })

  test('special characters are escaped so that Git ignores the file, and the entry can be removed again', () => {
    for (const name of ['a[1]*?.txt', '#x', '!y', 'with blank', 'trailing ']) {
      write(name)
      expect(addToGitIgnore(repoAt(), name)).toBe('.gitignore')
      expect(repoAt().git?.isIgnored(path.join(dir, name)), name).toBe(true)
    }
    expect(read('.gitignore')).toBe('/a\\[1\\]\\*\\?.txt\n/\\#x\n/\\!y\n/with blank\n/trailing\\ \n')
    for (const name of ['a[1]*?.txt', '#x', '!y', 'with blank']) expect(removeFromGitIgnore(repoAt(), name)).toBe('.gitignore')
    expect(read('.gitignore')).toBe('/trailing\\ \n')
    expect(removeFromGitIgnore(repoAt(), 'trailing ')).toBe('.gitignore')
    expect(existsSync(path.join(dir, '.gitignore'))).toBe(false)
  })

  test('removing leaves the other lines as they are', () => {
    write('.gitignore', '# mine\n/data\n\n*.pyc')
    removeFromGitIgnore(repoAt(), 'data')
    expect(read('.gitignore')).toBe('# mine\n\n*.pyc')
    expect(removeFromGitIgnore(repoAt(), 'data')).toBeUndefined()
  })
})
