import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { capture, captureSync, type Captured } from '../io/spawn.ts'
import { openBlobReader, type BlobReader } from './git-blobs.ts'
import { openIgnoredReader, type IgnoredReader } from './git-ignored.ts'

/** What Cairn asks of Git. All calls spawn `git`; objects are read through one `cat-file --batch`. Close it when done. */
export interface Git {
  /** The work tree's root, absolute. */
  root: string
  head(): string | undefined
  /** undefined when detached or unborn. */
  branch(): string | undefined
  branches(): string[]
  /** In version order (0.9 before 0.10), the order of metrics tables. */
  tags(): string[]
  /** @throws CairnError FAILED `unknown Git revision 'x'` */
  resolve(rev: string): string
  /** Bytes of a file at a revision; undefined when it is not there. `path` is relative to Git's root. */
  read(rev: string, path: string): Promise<Buffer | undefined>
  /** Paths of files at a revision, relative to Git's root. */
  list(rev: string): Promise<string[]>
  /**
   * Up to `most` commits of HEAD's history that touched a path (relative to Git's root), newest first. Empty when there is no
   * HEAD yet, or the signal aborts first.
   */
  commitsOf(path: string, most: number, signal: AbortSignal): Promise<string[]>
  /** Absolute paths. */
  isIgnored(path: string): boolean
  /** As `isIgnored`, through one child for many questions: what others change in ignore files after the first may be missed. */
  ignores(path: string): Promise<boolean>
  isTracked(path: string): boolean
  stage(paths: readonly string[]): void
  close(): Promise<void>
}

/** Finds the work tree that holds `dir`; undefined outside of Git. Starts nothing: git runs with the first question. */
export function openGit(dir: string): Git | undefined {
  const found = findWorkTree(path.resolve(dir))
  return found && gitAt(found.root, found.gitDir)
}

function gitAt(root: string, gitDir: string): Git {
  let blobs: BlobReader | undefined
  let ignored: IgnoredReader | undefined
  const ask = (...args: string[]) => runGit(root, args)
  const lines = (...args: string[]) =>
    ask(...args)
      .stdout.toString()
      .split('\n')
      .filter((line) => line !== '')
  // 128 is git's answer for a path that can be in no work tree: outside of it, or beyond a symlink.
  const isIgnored = (file: string) => ask('check-ignore', '--no-index', '--quiet', '--', asGitPath(root, file)).code === 0
  const head = () => readHead(gitDir) ?? (lines('rev-parse', '--verify', '--quiet', 'HEAD')[0] || undefined)

  return {
    root,
    head,
    branch: () => (head() === undefined ? undefined : lines('symbolic-ref', '--quiet', '--short', 'HEAD')[0]),
    branches: () => lines('for-each-ref', '--format=%(refname:lstrip=2)', 'refs/heads'),
    tags: () => lines('tag', '--list', '--sort=v:refname'),
    resolve(rev) {
      const [sha] = rev.startsWith('-') ? [] : lines('rev-parse', '--verify', '--quiet', `${rev}^{commit}`)
      if (sha === undefined) throw new CairnError('FAILED', `unknown Git revision '${rev}'`)
      return sha
    },
    async read(rev, file) {
      if (file.includes('\n')) return readOne(root, rev, file)
      blobs ??= openBlobReader(root)
      return blobs.read(`${rev}:${file}`)
    },
    async list(rev) {
      const listed = await capture('git', ['ls-tree', '-r', '-z', '--name-only', '--full-tree', rev], { cwd: root })
      if (listed.code !== 0) throw failure(listed, `unknown Git revision '${rev}'`)
      return listed.stdout
        .toString()
        .split('\0')
        .filter((name) => name !== '')
    },
    async commitsOf(file, most, signal) {
      const args = ['--literal-pathspecs', 'log', `--max-count=${most}`, '--format=%H', 'HEAD', '--', file]
      try {
        const { code, stdout } = await capture('git', args, { cwd: root, signal })
        return code === 0 ? stdout.toString().split('\n').filter(isSha) : []
      } catch (error) {
        if (signal.aborted) return []
        throw error
      }
    },
    isIgnored,
    async ignores(file) {
      ignored ??= openIgnoredReader(root)
      const answer = await ignored.ask(asGitPath(root, file))
      if (answer !== undefined) return answer
      // Such a path ends the child; alone it gets its answer, or the reason why there is none.
      ignored = undefined
      return isIgnored(file)
    },
    isTracked: (file) =>
      mayBeTracked(gitDir, path.relative(root, file)) &&
      ask('--literal-pathspecs', 'ls-files', '--error-unmatch', '--', asGitPath(root, file)).code === 0,
    stage(paths) {
      // 500 paths a call stay below every system's limit for arguments.
      for (let at = 0; at < paths.length; at += 500) {
        const added = ask('--literal-pathspecs', 'add', '--', ...paths.slice(at, at + 500).map((file) => asGitPath(root, file)))
        if (added.code !== 0) throw failure(added, 'git add failed')
      }
    },
    async close() {
      await Promise.all([blobs?.close(), ignored?.close()])
      blobs = undefined
      ignored = undefined
    },
  }
}

function runGit(root: string, args: readonly string[]): Captured {
  try {
    const done = captureSync('git', args, { cwd: root })
    if (/dubious ownership/.test(done.stderr)) throw failure(done, 'git refuses this repository')
    return done
  } catch (error) {
    if (isCode(error, 'ENOENT'))
      throw new CairnError('FAILED', 'git: no such program on PATH', { hint: 'Install git.', cause: error })
    throw error
  }
}

function failure(done: Captured, what: string): CairnError {
  const words = done.stderr.trim().replace(/^(fatal|error): /, '')
  return new CairnError('FAILED', words === '' ? what : `${what}: ${words}`)
}

/** A folder gets its slash, without which `data/` in a .gitignore would not match it. */
function asGitPath(root: string, file: string): string {
  const relative = path.relative(root, file) || '.'
  const isFolder = statSync(file, { throwIfNoEntry: false })?.isDirectory() === true
  return isFolder ? `${relative}/` : relative
}

/**
 * Looks for a path's bytes in Git's index, for most paths are not in it and starting git takes as long as reading a thousand
 * files' stats. Only the formats that spell every path out can say no.
 */
function mayBeTracked(gitDir: string, file: string): boolean {
  const index = readBytes(path.join(gitDir, 'index'))
  if (index === undefined) return false
  const spelled = index.toString('latin1', 0, 4) === 'DIRC' && index.readUInt32BE(4) < 4
  // Both extensions stand for paths that are not in this file.
  if (!spelled || process.platform !== 'linux' || index.includes('link') || index.includes('sdir')) return true
  return index.includes(`${file}\0`) || index.includes(`${file}/`)
}

async function readOne(root: string, rev: string, file: string): Promise<Buffer | undefined> {
  const done = await capture('git', ['cat-file', 'blob', `${rev}:${file}`], { cwd: root })
  return done.code === 0 ? done.stdout : undefined
}

/** `.git` is a folder, or in worktrees and submodules a file that names one. */
function findWorkTree(dir: string): { root: string; gitDir: string } | undefined {
  for (let at = dir; ; at = path.dirname(at)) {
    const gitDir = gitDirAt(at)
    if (gitDir !== undefined) return { root: at, gitDir }
    if (path.dirname(at) === at) return undefined
  }
}

function gitDirAt(dir: string): string | undefined {
  const dotGit = path.join(dir, '.git')
  const stat = statSync(dotGit, { throwIfNoEntry: false })
  if (stat?.isDirectory()) return readText(path.join(dotGit, 'HEAD')) === undefined ? undefined : dotGit
  const named = stat?.isFile() ? /^gitdir: (.+)$/m.exec(readText(dotGit) ?? '')?.[1] : undefined
  return named === undefined ? undefined : path.resolve(dir, named.trim())
}

/** The sha of HEAD without starting git: the usual cases of loose and packed refs; undefined when it takes git to tell. */
function readHead(gitDir: string): string | undefined {
  const head = readText(path.join(gitDir, 'HEAD'))?.trim() ?? ''
  if (isSha(head)) return head
  const ref = /^ref: (\S+)$/.exec(head)?.[1]
  if (ref === undefined) return undefined
  const common = path.resolve(gitDir, readText(path.join(gitDir, 'commondir'))?.trim() ?? '.')
  const loose = readText(path.join(common, ref))?.trim()
  if (loose !== undefined && isSha(loose)) return loose
  const packed = readText(path.join(common, 'packed-refs')) ?? ''
  return packed
    .split('\n')
    .find((line) => line.slice(41) === ref && isSha(line.slice(0, 40)))
    ?.slice(0, 40)
}

const isSha = (text: string) => /^[0-9a-f]{40}$/.test(text)

const readText = (file: string): string | undefined => readBytes(file)?.toString()

function readBytes(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return undefined
    throw error
  }
}
