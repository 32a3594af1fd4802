import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import { capture } from '../io/spawn.ts'
import { mergeLevels, readLevels, type ConfigLevel } from './config.ts'
import { parseConfigFile } from './config-file.ts'
import { type FileTree, gitPrefix, revisionTree, workingTree } from './file-tree.ts'
import { openGit, type Git } from './git.ts'
import { ignoreFrom, loadIgnore } from './ignore.ts'
import { findRoot } from './open.ts'
import type { Repo } from './repo.ts'

/** A file of another repository that stands in its working copy or in its Git. */
export interface ForeignFile {
  /** Root-relative. */
  path: string
  size: number
  isexec: boolean
}

/** Another repository, opened for reading only. Close it. */
export interface Foreign {
  repo: Repo
  /** As the person wrote it. */
  url: string
  /** The commit that is read; undefined where there is no Git, or no commit yet. */
  commit: string | undefined
  tree: FileTree
  /** Its own cache stands on this machine. */
  local: boolean
  /** Every file but DVC's and Git's own folders and what is ignored, sorted. */
  files(): Promise<ForeignFile[]>
  /** In bytes, as the file system or Git stores them; without those that stand in neither. `''` is the root. */
  folderSizes(folders: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** The same at another commit; ends with this one, and is not closed by itself. @throws CairnError FAILED */
  at(rev: string): Promise<Foreign>
  close(): Promise<void>
}

export interface ForeignOptions {
  /** A branch, tag or commit. */
  rev?: string | undefined
  /** Folders that a relative path may be relative to; the first one where something stands is taken. */
  from: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  signal: AbortSignal
  /** Without a revision: what stands in the working copy (true), or what HEAD holds (false). A clone has only the latter. */
  workspace: boolean
  /** The text of a config file that is laid over the repository's own. */
  config?: { text: string; path: string } | undefined
}

/**
 * Opens a repository by its path or by a url that Git clones from (into a temporary folder, without a checkout).
 * @throws CairnError FAILED when there is none, or no such revision
 */
export async function openForeign(url: string, options: ForeignOptions): Promise<Foreign> {
  const dir = options.from.map((folder) => path.resolve(folder, url)).find((each) => isFolder(each))
  if (dir !== undefined) return openLocal(url, dir, options)
  if (!/^[\w.+-]+:\/\/|^[\w.-]+@[\w.-]+:/.test(url))
    throw new CairnError('FAILED', `'${url}' does not exist`, { hint: 'Give the path or the Git url of a repository.' })
  return openClone(url, options)
}

async function openLocal(url: string, dir: string, options: ForeignOptions): Promise<Foreign> {
  const git = openGit(dir)
  const { root = git?.root } = findRoot(dir)
  if (root === undefined) throw new CairnError('FAILED', `'${url}' is neither a DVC nor a Git repository`)
  return openAt(url, root, git, { ...options, local: true, cleanUp: () => undefined })
}

async function openClone(url: string, options: ForeignOptions): Promise<Foreign> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-clone-'))
  const cleanUp = () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
  try {
    const env = { ...options.env, GIT_TERMINAL_PROMPT: '0' } as NodeJS.ProcessEnv
    const args = ['clone', '--quiet', '--no-checkout', '--', url, dir]
    const cloned = await capture('git', args, { cwd: os.tmpdir(), env, signal: options.signal })
    if (cloned.code !== 0) {
      const why = cloned.stderr.trim().split('\n').at(-1) ?? ''
      throw new CairnError('FAILED', `SCM error: Failed to clone repo '${url}': ${why.replace(/^fatal: /, '')}`)
    }
    return await openAt(url, dir, openGit(dir), { ...options, workspace: false, local: false, cleanUp })
  } catch (error) {
    cleanUp()
    throw error
  }
}

async function openAt(
  url: string,
  root: string,
  git: Git | undefined,
  options: ForeignOptions & { local: boolean; cleanUp: () => void },
): Promise<Foreign> {
  const atRevision = options.rev !== undefined || (!options.workspace && git?.head() !== undefined)
  const commit = atRevision ? resolveIn(git, options.rev ?? 'HEAD', url) : git?.head()
  const bare = repoAt(root, git, options.env, [])
  const tree = atRevision && commit !== undefined ? revisionTree(bare, commit) : workingTree(bare)
  const repo = await withConfig(bare, tree, options)
  return {
    repo,
    url,
    commit,
    tree,
    local: options.local,
    files: () => (tree.rev === 'workspace' ? Promise.resolve(walkFiles(repo)) : listCommit(repo, tree)),
    folderSizes: async (folders) =>
      tree.rev === 'workspace' ? statFolders(repo, folders) : sizesInCommit(repo, tree.rev, folders),
    at: (rev) => openAt(url, root, git, { ...options, rev, cleanUp: () => undefined }),
    async close() {
      await git?.close()
      options.cleanUp()
    },
  }
}

/** A clone has the branches of its origin under the origin's name only. */
function resolveIn(git: Git | undefined, rev: string, url: string): string {
  if (git === undefined) throw new CairnError('FAILED', `'${url}' is no Git repository: there is no revision '${rev}'`)
  try {
    return git.resolve(rev)
  } catch (error) {
    if (!isCode(error, 'FAILED')) throw error
    try {
      return git.resolve(`origin/${rev}`)
    } catch {
      throw error
    }
  }
}

function repoAt(root: string, git: Git | undefined, env: ForeignOptions['env'], levels: readonly ConfigLevel[]): Repo {
  const dvcDir = path.join(root, '.dvc')
  const config = mergeLevels(levels, env, root)
  const cacheDir = config.get('cache', 'dir') || path.join(dvcDir, 'cache')
  return { root, dvcDir, tmpDir: path.join(dvcDir, 'tmp'), cacheDir, linkTypes: undefined, config, git, ignore: loadIgnore(root) }
}

/** The repository's own config as it was at the revision; what the person configured for this machine stays. */
async function withConfig(bare: Repo, tree: FileTree, options: ForeignOptions): Promise<Repo> {
  const file = path.join(bare.dvcDir, 'config')
  const levels = readLevels(options.env, bare.dvcDir)
  const text = (await tree.read('.dvc/config'))?.toString() ?? ''
  const merged = levels.map((each) => (each.level === 'project' ? { ...each, file: parseConfigFile(text, file) } : each))
  if (options.config !== undefined) {
    const { text: extra, path: extraPath } = options.config
    merged.push({ level: 'local', path: extraPath, file: parseConfigFile(extra, extraPath) })
  }
  return repoAt(bare.root, bare.git, options.env, merged)
}

async function listCommit(repo: Repo, tree: FileTree): Promise<ForeignFile[]> {
  const { git } = repo
  if (git === undefined) return []
  const prefix = gitPrefix(repo, git)
  const args = ['ls-tree', '-r', '-l', '-z', '--full-tree', tree.rev]
  const { code, stdout, stderr } = await capture('git', args, { cwd: git.root })
  if (code !== 0) throw new CairnError('FAILED', `git ls-tree failed: ${stderr.trim()}`)
  const found = stdout
    .toString()
    .split('\0')
    .flatMap((line): ForeignFile[] => {
      const match = /^(\d+) blob [0-9a-f]+ +(\d+)\t(.*)$/s.exec(line)
      if (!match?.[3]?.startsWith(prefix)) return []
      return [{ path: match[3].slice(prefix.length), size: Number(match[2]), isexec: match[1] === '100755' }]
    })
  const ignored = await ignoreOf(tree, found)
  return found.filter((file) => !isOwn(file.path) && !ignored.ignores(file.path, false)).toSorted(byPath)
}

function statFolders({ root }: Repo, folders: readonly string[]): Map<string, number> {
  return new Map(
    folders.flatMap((folder) => {
      const stat = statSync(path.join(root, folder), { throwIfNoEntry: false })
      return stat ? [[folder, stat.size]] : []
    }),
  )
}

async function sizesInCommit(repo: Repo, rev: string, folders: readonly string[]): Promise<Map<string, number>> {
  const { git } = repo
  // A name with a line feed cannot be asked for.
  const asked = folders.filter((folder) => !folder.includes('\n'))
  if (git === undefined || asked.length === 0) return new Map()
  const prefix = gitPrefix(repo, git)
  const input = asked.map((folder) => `${rev}:${(prefix + folder).replace(/\/$/, '')}\n`).join('')
  const { stdout } = await capture('git', ['cat-file', '--batch-check=%(objecttype) %(objectsize)'], { cwd: git.root, input })
  const answers = stdout.toString().split('\n')
  return new Map(
    asked.flatMap((folder, index) => {
      const size = /^tree (\d+)$/.exec(answers[index] ?? '')?.[1]
      return size === undefined ? [] : [[folder, Number(size)]]
    }),
  )
}

async function ignoreOf(tree: FileTree, files: readonly ForeignFile[]) {
  const texts = new Map<string, string>()
  for (const { path: file } of files)
    if (path.posix.basename(file) === '.dvcignore') texts.set(file, (await tree.read(file))?.toString() ?? '')
  return ignoreFrom((file) => texts.get(file))
}

const isOwn = (file: string): boolean => file.split('/').some((part) => part === '.dvc' || part === '.git')

function walkFiles(repo: Repo): ForeignFile[] {
  const found: ForeignFile[] = []
  const folders = ['']
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const ignored = repo.ignore.within(folder)
    for (const entry of readdirSync(path.join(repo.root, folder), { withFileTypes: true })) {
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (isOwn(entry.name) || ignored(entry.name, entry.isDirectory())) continue
      if (entry.isDirectory()) folders.push(file)
      else {
        const stat = statSync(path.join(repo.root, file), { throwIfNoEntry: false })
        if (stat?.isFile()) found.push({ path: file, size: stat.size, isexec: (stat.mode & 0o111) !== 0 })
      }
    }
  }
  return found.toSorted(byPath)
}

const byPath = (a: ForeignFile, b: ForeignFile): number => compareCodePoints(a.path, b.path)

const isFolder = (dir: string): boolean => statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true

/** The text of a config file that the person names. @throws CairnError CONFIG */
export function readConfigOverlay(cwd: string, file: string): { text: string; path: string } {
  const at = path.resolve(cwd, file)
  try {
    lstatSync(at)
    return { text: readFileSync(at, 'utf8'), path: at }
  } catch (cause) {
    throw new CairnError('CONFIG', `config file error: cannot read '${file}'`, { cause })
  }
}
