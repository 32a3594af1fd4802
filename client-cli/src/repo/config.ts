import { readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Env } from '../command.ts'
import { parseConfigFile, type ConfigFile } from './config-file.ts'
import { isPathOption } from './config-schema.ts'

export type Level = 'system' | 'global' | 'project' | 'local'

export interface RemoteConfig {
  name: string
  /** Resolved: a url, or an absolute path. */
  url: string
  /** The other options of the section, as text: `user`, `password`, `auth`, `jobs`, … */
  options: Readonly<Record<string, string>>
}

/** The four levels, merged: a later level's key wins. Names of sections and keys are lower-case. */
export interface Config {
  /** `get('core', 'remote')`. A list value (`cache.type`) is joined with commas. */
  get(section: string, key: string): string | undefined
  remotes(): RemoteConfig[]
  /** @throws CairnError CONFIG `remote 'x' doesn't exist` */
  remote(name: string): RemoteConfig
  /** @throws CairnError CONFIG when none is set (dvc's words and hint) */
  defaultRemote(): RemoteConfig
}

/** One file of the four. A file that is not there is an empty one. */
export interface ConfigLevel {
  level: Level
  path: string
  file: ConfigFile
}

/** Lowest precedence first. Without `dvcDir` (outside of a repository) only `system` and `global`. @throws CairnError CONFIG */
export function readLevels(env: Env, dvcDir?: string): ConfigLevel[] {
  const levels: Level[] = ['system', 'global', 'project', 'local']
  return levels.flatMap((level) => {
    const file = levelPath(level, env, dvcDir)
    return file === undefined ? [] : [{ level, path: file, file: parseConfigFile(readConfigText(file), file) }]
  })
}

/** Where a level's file is; undefined when there is no home, or no repository for it. */
export function levelPath(level: Level, env: Env, dvcDir?: string): string | undefined {
  if (level === 'project' || level === 'local') {
    return dvcDir === undefined ? undefined : path.join(dvcDir, level === 'local' ? 'config.local' : 'config')
  }
  const home = homeOf(env)
  const dir = level === 'system' ? systemDir(env) : globalDir(env, home)
  return dir === undefined ? undefined : path.join(dir, 'config')
}

function systemDir(env: Env): string | undefined {
  if (env['DVC_SYSTEM_CONFIG_DIR']) return env['DVC_SYSTEM_CONFIG_DIR']
  if (process.platform === 'win32') return env['PROGRAMDATA'] && path.join(env['PROGRAMDATA'], 'iterative', 'dvc')
  if (process.platform === 'darwin') return '/Library/Application Support/dvc'
  return path.join(env['XDG_CONFIG_DIRS']?.split(':')[0] || '/etc/xdg', 'dvc')
}

function globalDir(env: Env, home: string | undefined): string | undefined {
  if (env['DVC_GLOBAL_CONFIG_DIR']) return env['DVC_GLOBAL_CONFIG_DIR']
  if (process.platform === 'win32') return env['LOCALAPPDATA'] && path.join(env['LOCALAPPDATA'], 'iterative', 'dvc')
  if (process.platform === 'darwin') return home && path.join(home, 'Library', 'Application Support', 'dvc')
  return env['XDG_CONFIG_HOME'] ? path.join(env['XDG_CONFIG_HOME'], 'dvc') : home && path.join(home, '.config', 'dvc')
}

/** HOME, else what the system's user table says; undefined for a user it does not know. */
export function homeOf(env: Env): string | undefined {
  if (env['HOME']) return env['HOME']
  try {
    return os.userInfo().homedir || undefined
  } catch {
    return undefined
  }
}

function readConfigText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return ''
    throw new CairnError('CONFIG', `config file error: ${file}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

/** The merged configuration of a repository, or of the user where there is none. @throws CairnError CONFIG */
export function loadConfig(env: Env, dvcDir?: string): Config {
  return mergeLevels(readLevels(env, dvcDir), env, dvcDir === undefined ? undefined : path.dirname(dvcDir))
}

/** `root` only names the repository in messages. */
export function mergeLevels(levels: readonly ConfigLevel[], env: Env, root = '.'): Config {
  const home = homeOf(env)
  const merged = new Map<string, Map<string, string>>()
  for (const { path: file, file: parsed } of levels) {
    for (const section of parsed.sections.values()) {
      const options = merged.get(section.name) ?? new Map<string, string>()
      merged.set(section.name, options)
      for (const [key, { value }] of section.options)
        options.set(key, resolveValue(section.name, key, value, path.dirname(file), home))
    }
  }
  const names = [...merged.keys()].flatMap((section) => /^remote "(.*)"$/.exec(section)?.[1] ?? [])

  function remote(name: string, below: readonly string[] = []): RemoteConfig {
    const section = merged.get(remoteSection(name))
    if (section === undefined) throw new CairnError('CONFIG', `config file error: remote '${name}' doesn't exist`)
    const { url, ...options } = Object.fromEntries(section)
    if (url === undefined)
      throw new CairnError('CONFIG', `config file error: expected 'url' for dictionary value @ data['remote']['${name}']`, {
        hint: `Set it with\n    cairn remote modify ${name} url <url>`,
      })
    const based = /^remote:\/\/([^/]+)\/?(.*)$/.exec(url)
    if (based === null) return { name, url, options }
    const [, base = '', sub = ''] = based
    if (below.includes(base)) throw new CairnError('CONFIG', `config file error: remote '${name}' leads back to itself`)
    const parent = remote(base.toLowerCase(), [...below, name])
    const joined = sub === '' ? parent.url : `${parent.url.replace(/\/$/, '')}/${sub}`
    return { name, url: joined, options: { ...parent.options, ...options } }
  }

  const config: Config = {
    get: (section, key) => {
      const value = merged.get(section)?.get(key)
      return section === 'core' && key === 'remote' ? value?.toLowerCase() : value
    },
    remotes: () => names.filter((name) => merged.get(remoteSection(name))?.has('url')).map((name) => remote(name)),
    remote: (name) => remote(name.toLowerCase()),
    defaultRemote() {
      const name = config.get('core', 'remote')
      if (name !== undefined) return remote(name)
      throw new CairnError('CONFIG', `config file error: no remote specified in ${root}.`, {
        hint:
          names.length === 0
            ? 'Create a default remote with\n    cairn remote add -d <remote name> <remote url>'
            : 'Setup default remote with\n    cairn remote default <remote name>\nor use:\n    cairn <command> -r <remote name>',
      })
    },
  }
  return config
}

/** The section of a remote: names are lower-case. */
export function remoteSection(name: string): string {
  return `remote "${name.toLowerCase()}"`
}

/** A value as it is used: lists joined with commas, relative paths resolved against the file's folder, `~` expanded. */
export function resolveValue(
  section: string,
  key: string,
  value: string | readonly string[],
  dir: string,
  home: string | undefined,
): string {
  const text = typeof value === 'string' ? value : value.join(',')
  if (!isPathOption(section, key) || /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || text === '') return text
  if (home !== undefined && /^~(?=\/|$)/.test(text)) return path.normalize(home + text.slice(1))
  return path.resolve(dir, text)
}

/** The other way: a value from the command line as it is stored. Relative paths are relative to the file's folder, with `/`. */
export function storedValue(section: string, key: string, value: string, dir: string, cwd: string): string {
  const isRelativePath =
    isPathOption(section, key) && !/^[a-z][a-z0-9+.-]*:\/\//i.test(value) && !value.startsWith('~') && !path.isAbsolute(value)
  return isRelativePath ? path.relative(dir, path.resolve(cwd, value)).split(path.sep).join('/') || '.' : value
}
