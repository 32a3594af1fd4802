import { lstatSync, statSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Repo } from '../repo/repo.ts'
import { isExternal, locate } from './stage-path.ts'
import type { Out, Stage } from './stage.ts'

/** What adding one target will save and write. */
export interface Addition {
  /** The stage to write, once its out has its record. */
  stage: Stage
  out: Out
  /** Only this path inside of the out is taken up. */
  inside?: string
  /** The stage is a file of DVC 2 or 3, whose record may be of the old kind. */
  kept?: boolean
}

export interface AddRequest {
  /** Root-relative. */
  cwd: string
  targets: readonly string[]
  /** The stage file that was asked for, relative to `cwd`. */
  file: string | undefined
  /** Nothing needs to stand there: the content comes from elsewhere. */
  absent?: boolean
}

/** Checks every target before any is touched. @throws CairnError COMMAND_FAILED in dvc's words */
export function planAdditions(repo: Repo, stages: readonly Stage[], request: AddRequest): Addition[] {
  return request.targets.map((target) => planAddition(repo, stages, target, request))
}

function planAddition(repo: Repo, stages: readonly Stage[], target: string, request: AddRequest): Addition {
  const { cwd, file, absent = false } = request
  const location = locate(cwd, target)
  refuseName(location, target)
  refuseLinkedFolders(repo, location)
  const owner = findOwner(stages, location)
  if (owner && owner.out.path !== location) {
    refuseIgnored(repo, location)
    return { ...owner, inside: location.slice(owner.out.path.length + 1) }
  }
  if (!absent) refuseAbsent(repo, location, target)
  refuseUntrackable(repo, location)
  refuseOverlap(stages, location)
  return owner ?? describe(repo, stages, location, file === undefined ? `${location}.dvc` : locate(cwd, file))
}

export function refuseName(location: string, target: string): void {
  const name = path.posix.basename(location)
  if (name.endsWith('.dvc') || name === 'dvc.yaml' || name === 'dvc.lock')
    throw failed(`DVC file '${target}' cannot be an output.`)
  if (isExternal(location)) {
    throw failed(`Cached output(s) outside of DVC project: ${target}.`, {
      hint: 'Only what lies inside of the repository can be added.',
    })
  }
  if (location === '')
    throw failed(`'${target}' is the repository itself and cannot be added`, { hint: 'Add folders inside of it.' })
}

export function refuseLinkedFolders(repo: Repo, location: string): void {
  for (let at = path.posix.dirname(location); at !== '.'; at = path.posix.dirname(at)) {
    if (!lstatSync(path.join(repo.root, at), { throwIfNoEntry: false })?.isSymbolicLink()) continue
    throw failed(`Cannot add files inside symlinked directories to DVC: '${at}' is a symlink.`, {
      hint: 'Add them where the link points to.',
    })
  }
}

function refuseAbsent(repo: Repo, location: string, target: string): void {
  const absolute = path.join(repo.root, location)
  if (statSync(absolute, { throwIfNoEntry: false })) return
  throw failed(`output '${target}' does not exist: [Errno 2] No such file or directory: '${absolute}'`)
}

function refuseIgnored(repo: Repo, location: string): void {
  const absolute = path.join(repo.root, location)
  const isFolder = statSync(absolute, { throwIfNoEntry: false })?.isDirectory() === true
  if (repo.ignore.ignores(location, isFolder)) throw failed(`Path '${absolute}' is ignored by .dvcignore`)
}

function refuseUntrackable(repo: Repo, location: string): void {
  refuseIgnored(repo, location)
  const absolute = path.join(repo.root, location)
  if (!repo.git?.isTracked(absolute)) return
  throw failed(
    ` output '${location}' is already tracked by SCM (e.g. Git).\n    You can remove it from Git, then add to DVC.\n        To stop tracking from Git:\n            git rm -r --cached '${location}'\n            git commit -m "stop tracking ${location}" `,
  )
}

/** The out that the location is, or lies in, when it was added before. */
function findOwner(stages: readonly Stage[], location: string): Addition | undefined {
  for (const stage of stages) {
    const out = stage.outs.find((each) => location === each.path || location.startsWith(`${each.path}/`))
    if (!out) continue
    if (stage.cmd === undefined && stage.kind !== 'pipeline' && stage.deps.length === 0)
      return { stage: asData(stage), out, kept: stage.kind === 'data' }
    throw failed(
      `cannot update '${location}': overlaps with an output of stage: '${stage.name ?? stage.address}' in '${stage.file}'.\nRun the pipeline or use 'cairn commit' to force update it.`,
    )
  }
  return undefined
}

/** What DVC of 2019 added loses the flags of its time. */
function asData(stage: Stage): Stage {
  if (stage.kind === 'data') return stage
  const { md5: _md5, ...rest } = stage
  return { ...rest, kind: 'data' }
}

function refuseOverlap(stages: readonly Stage[], location: string): void {
  for (const stage of stages) {
    const inner = stage.outs.find((out) => out.path.startsWith(`${location}/`))
    if (!inner) continue
    throw failed(
      `Cannot add '${location}', because it is overlapping with other DVC tracked output: '${inner.path}'.\nTo include '${inner.path}' in '${location}', run 'cairn remove ${stage.address}' and then 'cairn add ${location}'`,
    )
  }
}

function describe(repo: Repo, stages: readonly Stage[], location: string, file: string): Addition {
  if (!file.endsWith('.dvc') || isExternal(file))
    throw failed(`bad stage filename '${file}'. It should have a '.dvc' suffix and lie inside of the repository.`)
  const taken = stages.find((stage) => stage.file === file)
  if (taken)
    throw failed(`'${file}' already tracks '${taken.outs.map((out) => out.path).join("', '")}'`, {
      hint: 'Choose another name with --file.',
    })
  if (repo.git?.isIgnored(path.join(repo.root, file))) throw failed(`bad DVC file name '${file}' is git-ignored.`)
  const folder = path.posix.dirname(file)
  const wdir = folder === '.' ? '' : folder
  const out: Out = {
    path: location,
    def: path.posix.relative(`/${wdir}`, `/${location}`),
    cache: true,
    persist: false,
    push: true,
  }
  return {
    stage: { address: file, file, kind: 'data', wdir, deps: [], params: [], outs: [out], frozen: false, alwaysChanged: false },
    out,
  }
}

const failed = (message: string, details: { hint?: string } = {}): CairnError =>
  new CairnError('COMMAND_FAILED', message, details)
