import { lstatSync, statSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Repo } from '../repo/repo.ts'
import { refuseLinkedFolders, refuseName } from './plan-add.ts'
import { stageMd5 } from './stage-md5.ts'
import { folderOf, isAtOrBelow, isUrl, locate, overlaps, relativeTo } from './stage-path.ts'
import type { Dep, Out, Stage } from './stage.ts'

/** What renaming one output will do. Paths are root-relative. */
export interface Move {
  from: string
  to: string
  /** As it will be written, at `stage.file`. */
  stage: Stage
  /** The file that it is read from now; goes when it is another one. */
  oldFile: string
}

/**
 * Checks everything before anything is touched. Into a folder when `dst` is one.
 * @throws CairnError COMMAND_FAILED
 */
export function planMove(repo: Repo, stages: readonly Stage[], request: { cwd: string; src: string; dst: string }): Move {
  const { cwd, src, dst } = request
  const from = locate(cwd, src)
  const owner = findOwner(stages, from)
  if (!owner) throw failed(`Unable to find DVC file with output '${src}'`)
  if (owner.stage.cmd !== undefined || owner.stage.kind === 'pipeline') throw failed(notDataSource(owner.stage))
  const to = destination(repo, cwd, from, dst)
  refuseName(to, dst)
  refuseLinkedFolders(repo, to)
  refuseTaken(repo, stages, { from, to })
  const stage = renamed(owner.stage, from, to)
  refuseFile(repo, stages, stage, owner.stage)
  if (!lstatSync(path.join(repo.root, from), { throwIfNoEntry: false }))
    throw failed(`output '${src}' does not exist`, { hint: `Check it out first: cairn checkout ${src}` })
  return { from, to, stage, oldFile: owner.stage.file }
}

function findOwner(stages: readonly Stage[], location: string): { stage: Stage; out: Out } | undefined {
  for (const stage of stages) {
    const out = stage.outs.find((each) => each.path === location)
    if (out) return { stage, out }
  }
  return undefined
}

const notDataSource = ({ address }: Stage): string =>
  `move is not permitted for stages that are not data sources. You need to either move '${address}' to a new location and edit it by hand, or remove '${address}' and create a new one at the desired location.`

function destination(repo: Repo, cwd: string, from: string, dst: string): string {
  const location = locate(cwd, dst)
  const isFolder = statSync(path.join(repo.root, location), { throwIfNoEntry: false })?.isDirectory() === true
  if (isFolder || dst.endsWith('/')) return path.posix.join(location, path.posix.basename(from))
  return location
}

function refuseTaken(repo: Repo, stages: readonly Stage[], { from, to }: { from: string; to: string }): void {
  const folder = path.join(repo.root, path.posix.dirname(to))
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw failed(`stage working dir '${folder}' does not exist`)
  if (isAtOrBelow(to, from)) throw failed(`'${to}' is inside of what is to be moved`)
  const around = stages.flatMap((stage) => stage.outs).find((out) => out.path !== from && overlaps(out.path, to))
  if (around) throw failed(`'${to}' overlaps with the output '${around.path}'`)
  const absolute = path.join(repo.root, to)
  if (lstatSync(absolute, { throwIfNoEntry: false }))
    throw failed(`'${to}' exists already`, { hint: 'Nothing is overwritten; remove it first.' })
  if (repo.ignore.ignores(to, statSync(path.join(repo.root, from), { throwIfNoEntry: false })?.isDirectory() === true))
    throw failed(`Path '${absolute}' is ignored by .dvcignore`)
}

/** The stage file follows when it is called after the output. */
function renamed(stage: Stage, from: string, to: string): Stage {
  const follows = stage.file === `${from}.dvc`
  const file = follows ? `${to}.dvc` : stage.file
  const wdir = follows && stage.wdir === folderOf(stage.file) ? folderOf(file) : stage.wdir
  const outs = stage.outs.map((out) => {
    const location = out.path === from ? to : out.path
    return { ...out, path: location, def: relativeTo(wdir, location) }
  })
  const moved: Stage = { ...stage, file, address: file, wdir, outs, deps: stage.deps.map((dep) => seenFrom(wdir, dep)) }
  return stage.md5 === undefined ? moved : { ...moved, md5: stageMd5(moved) }
}

/** The path of an import from another repository is a path in there. */
function seenFrom(wdir: string, dep: Dep): Dep {
  if (dep.source?.repo || isUrl(dep.def) || path.isAbsolute(dep.def)) return dep
  const def = relativeTo(wdir, dep.path)
  return { ...dep, def, ...(dep.source?.url !== undefined && { source: { ...dep.source, url: def } }) }
}

function refuseFile(repo: Repo, stages: readonly Stage[], stage: Stage, old: Stage): void {
  if (stage.file === old.file) return
  const absolute = path.join(repo.root, stage.file)
  if (stages.some((each) => each.file === stage.file) || lstatSync(absolute, { throwIfNoEntry: false }))
    throw failed(`'${stage.file}' exists already`)
  if (repo.git?.isIgnored(absolute)) throw failed(`bad DVC file name '${stage.file}' is git-ignored.`)
}

const failed = (message: string, details: { hint?: string } = {}): CairnError =>
  new CairnError('COMMAND_FAILED', message, details)
