import path from 'node:path'
import { isTree } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { capture } from '../io/spawn.ts'
import { findTargets, loadPipelines, type Pipelines, type Target } from '../pipeline/load.ts'
import type { PipelineFile } from '../pipeline/pipeline-file.ts'
import { overlaps } from '../pipeline/stage-path.ts'
import type { Out } from '../pipeline/stage.ts'
import { entriesOf } from '../pipeline/yaml-text.ts'
import { type FileTree, revisionTree, workingTree } from '../repo/file-tree.ts'
import type { Repo } from '../repo/repo.ts'
import type { Report } from '../report/event.ts'
import type { Output } from '../transfer/expand.ts'

export interface Selection {
  targets: readonly string[]
  /** Where targets are relative to; absolute. */
  cwd: string
  allTags?: boolean
  allBranches?: boolean
  allCommits?: boolean
  withDeps?: boolean
  recursive?: boolean
  /** Leaves out what is never pushed (`push: false`). */
  pushable: boolean
  /** Bytes: leaves out outputs that are recorded with as many or more. */
  maxSize?: number
  /** Only outputs that are metrics or plots, or hold some, in the words of their own stage or of the top of a dvc.yaml. */
  types?: readonly OutputType[]
}

export type OutputType = 'metrics' | 'plots'

export interface SelectOptions {
  signal: AbortSignal
  report: Report
}

/** The outputs of the workspace's targets, as targets: what a checkout after a fetch is for. @throws CairnError of findTargets */
export function selectTargets(repo: Repo, selection: Selection): Promise<Target[]> {
  return targetsIn(repo, workingTree(repo), selection)
}

/**
 * The outputs to move: of the workspace and of the revisions asked for, read straight from Git, each content once. A revision
 * that cannot be read is warned about and left out, as dvc does.
 * @throws CairnError when a target is found in none of them
 */
export async function selectOutputs(repo: Repo, selection: Selection, options: SelectOptions): Promise<Output[]> {
  const revisions = await revisionsOf(repo, selection)
  const sources = [
    { rev: 'workspace', open: () => workingTree(repo) },
    ...revisions.map((rev) => ({ rev, open: () => revisionTree(repo, rev) })),
  ]
  const outputs = new Map<string, Output>()
  let found = false
  let notFound: unknown
  for (const { rev, open } of sources) {
    options.signal.throwIfAborted()
    try {
      const targets = await targetsIn(repo, open(), selection)
      found = true
      for (const output of outputsOf(targets, selection.pushable)) outputs.set(keyOf(output), output)
    } catch (error) {
      if (sources.length === 1 || !(error instanceof CairnError)) throw error
      if (isCode(error, 'FAILED') && selection.targets.length > 0) notFound ??= error
      else options.report({ type: 'warning', text: `failed to collect '${rev}', skipping: ${error.message}` })
    }
  }
  if (!found && notFound !== undefined) throw notFound
  return [...outputs.values()]
}

async function targetsIn(repo: Repo, tree: FileTree, selection: Selection): Promise<Target[]> {
  const pipelines = await loadPipelines(tree)
  const found = findTargets(pipelines.stages, selection.targets, folderOf(repo, selection.cwd), findOptions(selection))
  const { maxSize = Infinity, types = [] } = selection
  if (maxSize === Infinity && types.length === 0) return found
  const paths = types.length === 0 ? undefined : pathsOf(pipelines, new Set(types))
  const isMeant = (out: Out) =>
    (out.recorded?.size ?? 0) < maxSize && (paths === undefined || paths.some((each) => overlaps(each, out.path)))
  return found.flatMap((target) =>
    (target.out ? [target.out] : target.stage.outs).filter(isMeant).map((out) => ({ ...target, out })),
  )
}

/** Where a repository's metrics or plots are, root-relative. */
function pathsOf({ stages, files }: Pipelines, types: ReadonlySet<OutputType>): string[] {
  const outs = stages.flatMap((stage) => stage.outs)
  const isNamed = (out: Out) =>
    (types.has('metrics') && out.metric !== undefined) || (types.has('plots') && out.plot !== undefined)
  const tops = [...files].flatMap(([name, { metrics, plots }]) => [
    ...(types.has('metrics') ? metrics : []),
    ...(types.has('plots') ? plots.flatMap((plot) => plotFiles(plot, path.posix.dirname(name))) : []),
  ])
  return [...outs.filter(isNamed).map((out) => out.path), ...tops]
}

/** A plot is named after its file, unless its axes name files. */
function plotFiles({ id, properties }: PipelineFile['plots'][number], folder: string): string[] {
  const axes = (entriesOf(properties) ?? []).filter(([key]) => key === 'x' || key === 'y')
  const named = axes.flatMap(([, axis]) => entriesOf(axis) ?? []).map(([file]) => path.posix.join(folder, String(file)))
  return named.length > 0 ? named : [id]
}

const folderOf = (repo: Repo, cwd: string): string => path.relative(repo.root, cwd).split(path.sep).join('/')

const findOptions = ({ recursive = false, withDeps = false }: Selection) => ({ recursive, withDeps })

/** What the targets record. Imports from other repositories come from there, and what is not cached comes from Git. */
export function outputsOf(targets: readonly Target[], pushable: boolean): Output[] {
  return targets.flatMap((target) => {
    if (target.stage.deps.some((dep) => dep.source?.repo !== undefined)) return []
    const outs = target.out ? [target.out] : target.stage.outs
    return outs.filter((out) => out.cache && (out.push || !pushable)).flatMap((out) => toOutput(target, out))
  })
}

function toOutput({ stage, inside }: Target, out: Out): Output[] {
  const digest = out.recorded?.digest
  if (digest === undefined) return []
  const part = inside !== undefined && isTree(digest) ? { inside } : {}
  return [{ path: out.path, digest, file: stage.file, ...part, ...(out.remote !== undefined && { remote: out.remote }) }]
}

const keyOf = (output: Output): string => `${output.digest}\0${output.inside ?? ''}\0${output.remote ?? ''}`

async function revisionsOf(repo: Repo, selection: Selection): Promise<string[]> {
  const { git } = repo
  const { allTags, allBranches, allCommits } = selection
  if (!allTags && !allBranches && !allCommits) return []
  if (!git)
    throw new CairnError('FAILED', '--all-tags, --all-branches and --all-commits are only supported for Git repositories', {
      exit: 1,
    })
  const revisions = [
    ...(allBranches ? git.branches() : []),
    ...(allTags ? git.tags() : []),
    ...(allCommits ? await commitsOf(git.root) : []),
  ]
  return [...new Set(revisions)]
}

async function commitsOf(root: string): Promise<string[]> {
  const { code, stdout, stderr } = await capture('git', ['rev-list', '--all'], { cwd: root })
  if (code !== 0) throw new CairnError('FAILED', `git rev-list failed: ${stderr.trim()}`, { exit: 1 })
  return stdout.toString().split('\n').filter(Boolean)
}
