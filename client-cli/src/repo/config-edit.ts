import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { parseConfigFile, type ConfigFile } from './config-file.ts'
import { mergeLevels, readLevels, type Config, type ConfigLevel, type Level } from './config.ts'
import { findRoot } from './open.ts'

/** The config files that a command may read and write, inside of a repository or outside. */
export interface ConfigEditor {
  levels: readonly ConfigLevel[]
  merged: Config
  /** The repository's root; undefined outside of one. */
  root: string | undefined
  /** @throws CairnError CONFIG when there is no repository for it */
  level(level: Level): ConfigLevel
  /** Rewrites one level's file by an edit of its text, and reads it anew. `secret`: only its owner may read a file that is new. */
  edit(level: Level, change: (file: ConfigFile) => string, options?: { secret?: boolean }): void
}

/** @throws CairnError CONFIG for a file that cannot be read */
export function openConfigEditor(cwd: string, env: Context['env']): ConfigEditor {
  const { root } = findRoot(cwd)
  const dvcDir = root === undefined ? undefined : path.join(root, '.dvc')
  let levels = readLevels(env, dvcDir)
  return {
    root,
    get levels() {
      return levels
    },
    get merged() {
      return mergeLevels(levels, env, root)
    },
    level(wanted) {
      const found = levels.find((candidate) => candidate.level === wanted)
      if (found) return found
      const why =
        wanted === 'project' || wanted === 'local'
          ? 'Not inside a DVC repo'
          : `there is no folder for the ${wanted} configuration`
      throw new CairnError('CONFIG', `config file error: ${why}`)
    },
    edit(wanted, change, options = {}) {
      const { path: file, file: parsed } = this.level(wanted)
      const text = change(parsed)
      // What is written must be what is read: an edit that broke the file would lock everybody out.
      parseConfigFile(text, file)
      mkdirSync(path.dirname(file), { recursive: true })
      const isNew = !existsSync(file)
      writeFileAtomic(file, text, isNew && options.secret ? { mode: 0o600 } : {})
      if (options.secret && wanted !== 'project') chmodSync(file, 0o600)
      levels = readLevels(env, dvcDir)
    },
  }
}

/** The level that `--system`, `--global`, `--project` or `--local` names; undefined without any. @throws CairnError USAGE for two */
export function levelOption(options: Readonly<Record<string, unknown>>): Level | undefined {
  const named = (['system', 'global', 'project', 'local'] as const).filter((level) => options[level] === true)
  if (named.length > 1) throw new CairnError('USAGE', `argument --${named[1]}: not allowed with argument --${named[0]}`)
  return named[0]
}
