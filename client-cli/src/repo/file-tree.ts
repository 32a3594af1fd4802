import { readdirSync, readFileSync, statSync, type Dirent } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Git } from './git.ts'
import { ignoreFrom, readIfThere, type Ignore } from './ignore.ts'
import { createIgnoreRules } from './ignore-rules.ts'
import type { Repo } from './repo.ts'

/** The text files of a repository, in the working copy or at a Git revision, read without a checkout. */
export interface FileTree {
  /** `workspace`, or the name the person used: a tag, a branch, a sha. */
  rev: string
  /** Root-relative path. undefined when it is not there. */
  read(path: string): Promise<Buffer | undefined>
  /** Root-relative paths of every `dvc.yaml`, `dvc.lock`, `*.dvc` and `Dvcfile`, sorted, ignored folders and nested repositories left out. */
  stageFiles(): Promise<string[]>
  /** How a mapping in a command becomes options: `parsing.bool` and `parsing.list` of the configuration. */
  parsing?: { bool: string | undefined; list: string | undefined }
}

/** The working copy as it stands. */
export function workingTree(repo: Repo): FileTree {
  return {
    rev: 'workspace',
    read: async (file) => {
      try {
        return readFileSync(path.join(repo.root, file))
      } catch (error) {
        if (isCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return undefined
        throw error
      }
    },
    stageFiles: async () => walkStageFiles(repo),
    parsing: parsingOf(repo),
  }
}

const parsingOf = ({ config }: Repo) => ({ bool: config.get('parsing', 'bool'), list: config.get('parsing', 'list') })

/** The repository at a tag, branch or sha. @throws CairnError FAILED when there is no such revision, or no Git */
export function revisionTree(repo: Repo, rev: string): FileTree {
  const { git } = repo
  if (git === undefined) throw new CairnError('FAILED', `revision '${rev}': only supported for Git repositories`)
  const sha = git.resolve(rev)
  const prefix = gitPrefix(repo, git)
  const read = (file: string) => git.read(sha, prefix + file)
  return {
    rev,
    read,
    parsing: parsingOf(repo),
    async stageFiles() {
      const listed = await git.list(sha)
      const files = listed.filter((file) => file.startsWith(prefix)).map((file) => file.slice(prefix.length))
      const ignore = await ignoreAt(files, read)
      const nested = nestedRepositories(files)
      return files.filter((file) => isStageFile(file) && !ignore.ignores(file, false) && !isBelow(file, nested)).toSorted()
    },
  }
}

/** Before a root-relative path, to make it one that is relative to Git's root. */
export function gitPrefix({ root }: Pick<Repo, 'root'>, git: Pick<Git, 'root'>): string {
  return root === git.root ? '' : `${path.relative(git.root, root).split(path.sep).join('/')}/`
}

/** dvc.yaml, dvc.lock, *.dvc and the Dvcfile of 2019. */
export function isStageFile(file: string): boolean {
  const name = path.posix.basename(file)
  return name === 'dvc.yaml' || name === 'dvc.lock' || name === 'Dvcfile' || (name.endsWith('.dvc') && name !== '.dvc')
}

async function ignoreAt(files: readonly string[], read: (file: string) => Promise<Buffer | undefined>): Promise<Ignore> {
  const texts = new Map<string, string>()
  for (const file of files) {
    if (path.posix.basename(file) === '.dvcignore') texts.set(file, (await read(file))?.toString() ?? '')
  }
  return ignoreFrom((file) => texts.get(file))
}

function nestedRepositories(files: readonly string[]): Set<string> {
  const nested = new Set<string>()
  for (const file of files) {
    const at = file.indexOf('/.dvc/')
    if (at > 0) nested.add(file.slice(0, at))
  }
  return nested
}

function isBelow(file: string, folders: ReadonlySet<string>): boolean {
  if (folders.size === 0) return false
  for (let at = path.posix.dirname(file); at !== '.'; at = path.posix.dirname(at)) if (folders.has(at)) return true
  return false
}

/**
 * One look at every folder that may hold stage files. What Git ignores is left out, as dvc does: outputs are ignored, so
 * their thousands of files cost nothing here. Links to folders are not followed.
 */
function walkStageFiles(repo: Repo): string[] {
  const gitIgnore = loadGitIgnore(repo)
  const found: string[] = []
  const folders = ['']
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = readdirSync(path.join(repo.root, folder), { withFileTypes: true })
    const isNested = folder !== '' && entries.some((entry) => entry.name === '.dvc' && entry.isDirectory())
    if (isNested) continue
    const [isIgnored, isGitIgnored] = [repo.ignore.within(folder), gitIgnore?.within(folder)]
    for (const entry of entries) {
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`
      const isFolder = entry.isDirectory()
      if (!isFolder && !isStageFile(entry.name)) continue
      if (isIgnored(entry.name, isFolder)) continue
      // A dvc.lock that Git ignores is told to the user when it is loaded, not passed over.
      if (entry.name !== 'dvc.lock' && isGitIgnored?.(entry.name, isFolder)) continue
      if (isFolder) folders.push(file)
      else if (isFile(repo, file, entry)) found.push(file)
    }
  }
  return found.toSorted()
}

function isFile(repo: Repo, file: string, entry: Dirent): boolean {
  return (
    entry.isFile() ||
    (entry.isSymbolicLink() && statSync(path.join(repo.root, file), { throwIfNoEntry: false })?.isFile() === true)
  )
}

/** The `.gitignore` files from Git's root down and `info/exclude`, read without starting git; paths are the repository's. */
function loadGitIgnore(repo: Repo): Ignore | undefined {
  const { git } = repo
  if (git === undefined) return undefined
  const prefix = gitPrefix(repo, git)
  const excluded = readIfThere(path.join(git.root, '.git', 'info', 'exclude')) ?? ''
  const rules = createIgnoreRules({
    fileName: '.gitignore',
    builtIn: excluded.split('\n'),
    read: (file) => readIfThere(path.join(git.root, file)),
  })
  return {
    ignores: (file, isDirectory) => rules.ignores(prefix + file, isDirectory),
    within: (folder) => rules.within((prefix + folder).replace(/\/$/, '')),
  }
}
