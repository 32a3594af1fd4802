import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { captureSync } from '../io/spawn.ts'
import { openGit, type Git } from './git.ts'

export interface InitOptions {
  /** Without Git. */
  noScm: boolean
  /** Git's root may lie above. */
  subdir: boolean
  /** Replaces an existing `.dvc`, except for its cache, which may hold the only copy of something. */
  force: boolean
}

const DVCIGNORE = `# Add patterns of files dvc should ignore, which could improve
# the performance. Learn more at
# https://dvc.org/doc/user-guide/dvcignore
`

/**
 * Makes a repository in a folder, byte for byte as dvc does, and stages its files in Git. Says whether Git is used.
 * @throws CairnError COMMAND_FAILED in dvc's words, when nothing was changed
 */
export function initRepo(dir: string, options: InitOptions): { git: boolean } {
  if (options.noScm && options.subdir) throw new CairnError('FAILED', 'Cannot initialize repo with `--no-scm` and `--subdir`')
  const dvcDir = path.join(dir, '.dvc')
  const git = options.noScm ? undefined : gitFor(dir, options.subdir)
  if (git?.isIgnored(dvcDir))
    throw failed(
      `${dvcDir} is ignored by your SCM tool. \nMake sure that it's tracked, for example, by adding '!.dvc' to .gitignore.`,
    )
  if (existsSync(dvcDir)) {
    if (!options.force) throw failed("'.dvc' exists. Use `-f` to force.")
    clear(dvcDir)
  }

  mkdirSync(path.join(dvcDir, 'tmp'), { recursive: true })
  writeFileSync(path.join(dvcDir, 'tmp', 'btime'), '')
  writeFileSync(path.join(dvcDir, 'config'), git === undefined ? '[core]\n    no_scm = True\n' : '')
  const dvcIgnore = path.join(dir, '.dvcignore')
  writeUnlessThere(dvcIgnore, DVCIGNORE)
  if (git === undefined) return { git: false }
  writeFileSync(path.join(dvcDir, '.gitignore'), '/config.local\n/tmp\n/cache\n')
  git.stage([path.join(dvcDir, '.gitignore'), path.join(dvcDir, 'config'), dvcIgnore])
  return { git: true }
}

function gitFor(dir: string, subdir: boolean): Git {
  const git = openGit(dir)
  if (git !== undefined && (subdir || git.root === path.resolve(dir)) && isUsable(git)) return git
  throw failed(
    `${dir} is not tracked by any supported SCM tool (e.g. Git). Use \`--no-scm\` if you don't want to use any SCM or \`--subdir\` ` +
      'if initializing inside a subdirectory of a parent SCM repository.',
  )
}

/** A folder named `.git` alone is no repository; git has the last word, and says so when it does not trust the owner. */
function isUsable(git: Git): boolean {
  const asked = captureSync('git', ['rev-parse', '--is-inside-work-tree'], { cwd: git.root })
  if (asked.code !== 0 && /dubious ownership/.test(asked.stderr)) throw failed(asked.stderr.trim().replace(/^fatal: /, ''))
  return asked.code === 0
}

function clear(dvcDir: string): void {
  if (!statSync(dvcDir).isDirectory()) return rmSync(dvcDir)
  for (const name of readdirSync(dvcDir)) if (name !== 'cache') rmSync(path.join(dvcDir, name), { recursive: true, force: true })
}

function writeUnlessThere(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx' })
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
  }
}

function failed(why: string): CairnError {
  return new CairnError('COMMAND_FAILED', `failed to initiate DVC - ${why}`)
}
