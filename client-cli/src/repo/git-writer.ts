import { copyFileSync, existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { capture } from '../io/spawn.ts'
import { gitPrefix } from './file-tree.ts'
import type { Git } from './git.ts'
import type { Repo } from './repo.ts'

export interface GitRef {
  ref: string
  sha: string
}

/**
 * What Cairn writes into Git: trees of the work tree as it stands, commits and refs. Never touches HEAD, branches that are not
 * named, or the person's index. Paths are relative to the repository's root.
 */
export interface GitWriter {
  git: Git
  /**
   * Everything that Git tracks, as it stands, and `files` (also folders), where they are there and Git does not ignore them.
   * `overlay`: texts that count instead of what stands at their path. Resolves with the tree's id.
   */
  tree(files: readonly string[], overlay?: ReadonlyMap<string, string>): Promise<string>
  commit(tree: string, parents: readonly string[], message: string): Promise<string>
  /** With `log` the ref keeps a log of what it was, as the stash does. */
  setRef(ref: string, sha: string, log?: string): Promise<void>
  removeRef(ref: string): Promise<void>
  /** By name. */
  refs(prefix: string): Promise<GitRef[]>
  /** Makes the work tree's files, which are those of `from`, those of `to`. */
  change(from: string, to: string): Promise<void>
  /** `onto` with what changed from one tree to the other. */
  graft(onto: string, from: string, to: string): Promise<string>
  /** Any other question; the lines of the answer. @throws CairnError FAILED */
  ask(args: readonly string[]): Promise<string[]>
}

let serial = 0

/** @throws CairnError FAILED outside of Git */
export function openGitWriter(repo: Repo, env: Readonly<Record<string, string | undefined>>): GitWriter {
  const { git } = repo
  if (git === undefined) throw new CairnError('FAILED', 'experiments are only supported for Git repositories')
  const prefix = gitPrefix(repo, git)
  const run = async (args: readonly string[], index?: string, input?: string): Promise<string> => {
    const surroundings = { ...env, ...(index !== undefined && { GIT_INDEX_FILE: index }) }
    const done = await capture('git', args, { cwd: git.root, env: surroundings, ...(input !== undefined && { input }) })
    if (done.code === 0) return done.stdout.toString()
    const words = done.stderr.trim().replace(/^(fatal|error): /, '')
    throw new CairnError('FAILED', `git ${args[0] ?? ''} failed: ${words}`)
  }
  const ask = async (args: readonly string[]) => (await run(args)).split('\n').filter((line) => line !== '')
  const withIndex = async <T>(start: (index: string) => Promise<unknown>, work: (index: string) => Promise<T>): Promise<T> => {
    mkdirSync(repo.tmpDir, { recursive: true })
    const index = path.join(repo.tmpDir, `cairn-index-${process.pid}-${serial++}`)
    try {
      await start(index)
      return await work(index)
    } finally {
      rmSync(index, { force: true })
      rmSync(`${index}.lock`, { force: true })
    }
  }
  const addFiles = async (index: string, files: readonly string[]) => {
    const there = files.filter((file) => existsSync(path.join(repo.root, file))).map((file) => prefix + file)
    const list = (await notIgnored(git.root, env, there)).map((file) => `${file}\0`).join('')
    if (list !== '') await run(['--literal-pathspecs', 'add', '--pathspec-from-file=-', '--pathspec-file-nul'], index, list)
  }

  return {
    git,
    ask,
    tree: (files, overlay = new Map()) =>
      withIndex(
        (index) => startIndex(ask, run, git.root, index),
        async (index) => {
          await run(['add', '--update', '--', ':/'], index)
          await addFiles(index, files)
          for (const [file, text] of overlay) {
            const blob = (await run(['hash-object', '-w', '--stdin', '--path', prefix + file], undefined, text)).trim()
            await run(['update-index', '--add', '--cacheinfo', `100644,${blob},${prefix}${file}`], index)
          }
          return (await run(['write-tree'], index)).trim()
        },
      ),
    async commit(tree, parents, message) {
      const before = parents.flatMap((parent) => ['-p', parent])
      return (await run(['commit-tree', tree, ...before, '-F', '-'], undefined, message)).trim()
    },
    async setRef(ref, sha, log) {
      await run(['update-ref', ...(log === undefined ? [] : ['--create-reflog', '-m', log]), ref, sha])
    },
    async removeRef(ref) {
      await run(['update-ref', '-d', ref])
    },
    async refs(under) {
      const lines = await ask(['for-each-ref', '--format=%(objectname) %(refname)', under])
      return lines.map((line) => ({ sha: line.slice(0, line.indexOf(' ')), ref: line.slice(line.indexOf(' ') + 1) }))
    },
    async graft(onto, from, to) {
      const parts = (await run(['diff-tree', '-r', '-z', '--no-renames', from, to])).split('\0')
      const lines = parts.flatMap((head, at) => {
        // `:<mode> <mode> <old> <new> M`, then the path.
        const [, mode, , sha] = head.split(' ')
        return at % 2 === 0 && mode && sha ? [`${mode} ${sha}\t${parts[at + 1] ?? ''}\0`] : []
      })
      return withIndex(
        (index) => run(['read-tree', onto], index),
        async (index) => {
          await run(['update-index', '-z', '--index-info'], index, lines.join(''))
          return (await run(['write-tree'], index)).trim()
        },
      )
    },
    async change(from, to) {
      const { gone, made } = parseChanges(await run(['diff-tree', '-r', '-z', '--no-renames', from, to]))
      for (const file of gone) removeFile(git.root, file)
      if (made.length === 0) return
      const list = made.map((file) => `${file}\0`).join('')
      await withIndex(
        (index) => run(['read-tree', to], index),
        (index) => run(['checkout-index', '--force', '-z', '--stdin'], index, list),
      )
    },
  }
}

/** The person's own index is copied, for it knows which files did not change since Git looked at them. */
async function startIndex(
  ask: GitWriter['ask'],
  run: (args: readonly string[], index: string) => Promise<string>,
  root: string,
  index: string,
): Promise<void> {
  const [own = ''] = await ask(['rev-parse', '--git-path', 'index'])
  try {
    copyFileSync(path.resolve(root, own), index)
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error
    await run(['read-tree', 'HEAD'], index)
  }
}

async function notIgnored(
  root: string,
  env: Readonly<Record<string, string | undefined>>,
  files: readonly string[],
): Promise<string[]> {
  if (files.length === 0) return []
  const input = files.map((file) => `${file}\0`).join('')
  const { code, stdout, stderr } = await capture('git', ['check-ignore', '-z', '--stdin'], { cwd: root, env, input })
  // 1: none of them is.
  if (code !== 0 && code !== 1) throw new CairnError('FAILED', `git check-ignore failed: ${stderr.trim()}`)
  const ignored = new Set(stdout.toString().split('\0'))
  return files.filter((file) => !ignored.has(file))
}

/** `:100644 100644 <old> <new> M\0path\0…` */
function parseChanges(text: string): { gone: string[]; made: string[] } {
  const gone: string[] = []
  const made: string[] = []
  const parts = text.split('\0')
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [head = '', file = ''] = parts.slice(at, at + 2)
    if (head.endsWith(' D')) gone.push(file)
    else made.push(file)
  }
  return { gone, made }
}

function removeFile(root: string, file: string): void {
  rmSync(path.join(root, file), { force: true })
  try {
    for (let folder = path.dirname(file); folder !== '.'; folder = path.dirname(folder)) rmdirSync(path.join(root, folder))
  } catch (error) {
    if (!isCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) throw error
  }
}
