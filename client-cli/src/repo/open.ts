import { statSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import { loadConfig, type Config } from './config.ts'
import { openGit } from './git.ts'
import { loadIgnore } from './ignore.ts'
import type { LinkType, Repo } from './repo.ts'

/**
 * Opens the repository that `cwd` is in. Reads the config files and nothing else.
 * @throws CairnError NOT_A_REPOSITORY, CONFIG
 */
export function openRepo(cwd: string, env: Context['env']): Repo {
  const { root, stoppedAt } = findRoot(cwd)
  if (root === undefined)
    throw new CairnError(
      'NOT_A_REPOSITORY',
      `you are not inside of a DVC repository (checked up to mount point '${stoppedAt}')`,
      {
        hint: "Run 'cairn init' to make one here.",
      },
    )
  const dvcDir = path.join(root, '.dvc')
  const config = loadConfig(env, dvcDir)
  const noScm = config.get('core', 'no_scm')?.toLowerCase() === 'true'
  return {
    root,
    dvcDir,
    tmpDir: path.join(dvcDir, 'tmp'),
    cacheDir: config.get('cache', 'dir') || path.join(dvcDir, 'cache'),
    linkTypes: parseLinkTypes(config),
    config,
    git: noScm ? undefined : openGit(root),
    ignore: loadIgnore(root),
  }
}

/** The nearest folder upwards that holds a folder `.dvc`, without leaving the file system. */
export function findRoot(cwd: string): { root: string | undefined; stoppedAt: string } {
  for (let at = path.resolve(cwd); ; at = path.dirname(at)) {
    if (isFolder(path.join(at, '.dvc'))) return { root: at, stoppedAt: at }
    if (isMountPoint(at)) return { root: undefined, stoppedAt: at }
  }
}

function isFolder(dir: string): boolean {
  return statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true
}

function isMountPoint(dir: string): boolean {
  const parent = path.dirname(dir)
  return parent === dir || statSync(dir, { throwIfNoEntry: false })?.dev !== statSync(parent, { throwIfNoEntry: false })?.dev
}

function parseLinkTypes(config: Config): LinkType[] | undefined {
  const known: readonly string[] = ['reflink', 'hardlink', 'symlink', 'copy'] satisfies LinkType[]
  const names = config
    .get('cache', 'type')
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  if (names === undefined || names.length === 0) return undefined
  const bad = names.filter((name) => !known.includes(name))
  if (bad.length > 0)
    throw new CairnError(
      'CONFIG',
      `config file error: Unsupported cache type(s): ${bad.join(', ')} for dictionary value @ data['cache']['type']`,
    )
  return names as LinkType[]
}
