import { statSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Options, OptionSpec } from '../command.ts'
import { isExternal, locate } from '../pipeline/stage-path.ts'
import type { Dep, Out, ParamsDep, Stage } from '../pipeline/stage.ts'
import type { Repo } from '../repo/repo.ts'

/** What a stage reads and makes, as `run` and `stage add` are told. Paths are relative to the folder that the command runs in. */
export const STAGE_OPTIONS: readonly OptionSpec[] = [
  { flags: '-d, --deps <path>', summary: 'A file or folder that the command reads.', repeatable: true },
  { flags: '-o, --outs <path>', summary: 'A file or folder that it makes, kept in the cache.', repeatable: true },
  { flags: '-O, --outs-no-cache <path>', summary: 'One that is not kept in the cache.', repeatable: true },
  { flags: '-m, --metrics <path>', summary: 'A metrics file, kept in the cache.', repeatable: true },
  { flags: '-M, --metrics-no-cache <path>', summary: 'A metrics file for Git to keep.', repeatable: true },
  { flags: '--outs-persist <path>', summary: 'An out that is left in place for the next run.', repeatable: true },
  { flags: '--outs-persist-no-cache <path>', summary: 'The same, not kept in the cache.', repeatable: true },
]

export const PLOT_OPTIONS: readonly OptionSpec[] = [
  { flags: '--plots <path>', summary: 'A plots file, kept in the cache.', repeatable: true },
  { flags: '--plots-no-cache <path>', summary: 'A plots file for Git to keep.', repeatable: true },
]

const OUT_FLAGS: ReadonlyArray<readonly [option: string, flags: Partial<Out>]> = [
  ['outs', {}],
  ['metrics', { metric: {} }],
  ['plots', { plot: {} }],
  ['outsNoCache', { cache: false }],
  ['metricsNoCache', { cache: false, metric: {} }],
  ['plotsNoCache', { cache: false, plot: {} }],
  ['outsPersist', { persist: true }],
  ['outsPersistNoCache', { persist: true, cache: false }],
]

/** @throws CairnError FAILED for a path that cannot be a dep or out, or a working directory that is not there */
export function describeFiles(repo: Repo, cwd: string, options: Options): Pick<Stage, 'wdir' | 'deps' | 'outs'> {
  const given = textOf(options['wdir']) ?? '.'
  const wdir = locateInside(cwd, given, 'stage working dir')
  if (!statSync(path.join(repo.root, wdir), { throwIfNoEntry: false })?.isDirectory()) {
    throw new CairnError('FAILED', `stage working dir '${given}' does not exist`)
  }
  return {
    wdir,
    deps: listOf(options['deps']).map((def): Dep => ({ path: locate(wdir, def), def: normalized(def) })),
    outs: OUT_FLAGS.flatMap(([option, flags]) => listOf(options[option]).map((def) => describeOut(wdir, def, flags))),
  }
}

function describeOut(wdir: string, def: string, flags: Partial<Out>): Out {
  const location = locate(wdir, def)
  if (location === '' || isExternal(location)) {
    throw new CairnError('FAILED', `Cached output(s) outside of DVC project: ${def}.`, {
      hint: 'Outputs must lie inside of the repository.',
    })
  }
  if (location.endsWith('.dvc') || path.posix.basename(location) === 'dvc.yaml') {
    throw new CairnError('FAILED', `DVC file '${def}' cannot be an output.`)
  }
  return { path: location, def: normalized(def), cache: true, persist: false, push: true, ...flags }
}

/** `-p lr,net.depth`, `-p conf.json:a,b`, `-p conf.toml:` for a whole file. */
export function describeParams(wdir: string, given: unknown): ParamsDep[] {
  const keys = new Map<string, string[]>()
  for (const text of listOf(given)) {
    const cut = text.indexOf(':')
    const file = normalized(cut < 0 ? 'params.yaml' : text.slice(0, cut))
    const named = text
      .slice(cut + 1)
      .split(',')
      .filter((key) => key !== '')
    keys.set(file, [...new Set([...(keys.get(file) ?? []), ...named])])
  }
  return [...keys].map(([def, names]) => ({ path: locate(wdir, def), def, keys: names }))
}

/** @throws CairnError FAILED for a path outside of the repository */
export function locateInside(cwd: string, given: string, what: string): string {
  const location = locate(cwd, given)
  if (isExternal(location)) throw new CairnError('FAILED', `${what} '${given}' is outside of the repository`)
  return location
}

const normalized = (def: string): string => path.posix.normalize(def).replace(/(.)\/$/, '$1')
export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])
