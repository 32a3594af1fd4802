import { lstatSync, statSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { overlaps } from '../pipeline/stage-path.ts'
import type { Dep, Out, Stage } from '../pipeline/stage.ts'
import type { Repo } from '../repo/repo.ts'
import { rootRelative } from './root-relative.ts'

/** Where something that is brought will stand, absolute: `out`, inside of it when that is a folder, or the source's own name here. */
export function placeFor(cwd: string, source: string, out: string | undefined): string {
  const name = path.posix.basename(source.replace(/[?#].*$/, '').replace(/\/+$/, ''))
  if (out === undefined) return path.resolve(cwd, name)
  const at = path.resolve(cwd, out)
  return statSync(at, { throwIfNoEntry: false })?.isDirectory() ? path.join(at, name) : at
}

/** @throws CairnError COMMAND_FAILED in dvc's words when something stands there */
export function refuseStanding(cwd: string, place: string, force: boolean): void {
  const stat = lstatSync(place, { throwIfNoEntry: false })
  if (!stat || force) return
  const kind = stat.isDirectory() ? 'directory' : 'file'
  throw new CairnError(
    'COMMAND_FAILED',
    `The ${kind} '${path.relative(cwd, place) || '.'}' already exists locally. \nTo override it, re-run with '--force'.`,
  )
}

/** A new stage for something imported, before anything is recorded. @throws CairnError COMMAND_FAILED when another output is in the way */
export function importStage(repo: Repo, stages: readonly Stage[], place: string, dep: (wdir: string) => Dep): Stage {
  const location = rootRelative(repo, repo.root, place)
  if (location === '') throw new CairnError('COMMAND_FAILED', 'an import cannot take the place of the repository itself')
  const file = `${location}.dvc`
  for (const stage of stages) {
    const other = stage.outs.find((out) => overlaps(out.path, location))
    if (!other || (stage.file === file && other.path === location)) continue
    throw new CairnError('COMMAND_FAILED', `output '${location}' overlaps with '${other.path}' of stage: '${stage.address}'.`, {
      hint: `Use 'cairn remove ${stage.address}' to stop tracking it, or choose another place.`,
    })
  }
  const folder = path.posix.dirname(file)
  const wdir = folder === '.' ? '' : folder
  const out: Out = { path: location, def: path.posix.basename(location), cache: true, persist: false, push: true }
  return {
    address: file,
    file,
    kind: 'data',
    wdir,
    deps: [dep(wdir)],
    params: [],
    outs: [out],
    frozen: true,
    alwaysChanged: false,
  }
}
