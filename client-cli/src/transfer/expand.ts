import path from 'node:path'
import { type Digest, isTree } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { TreeEntry } from '@cairn/protocol/tree'
import type { ObjectCache } from '../cache/object-cache.ts'
import { capture } from '../io/spawn.ts'
import { findTargets, loadStages, type Target } from '../pipeline/load.ts'
import type { Out } from '../pipeline/stage.ts'
import { type FileTree, revisionTree, workingTree } from '../repo/file-tree.ts'
import type { Repo } from '../repo/repo.ts'
import type { Report } from '../report/event.ts'

/** The recorded content of an output that travels: of the workspace, or of a revision. */
export interface Output {
  /** Root-relative. */
  path: string
  digest: Digest
  /** A file or folder inside of the output: only that is meant. */
  inside?: string
  /** The remote that the output's own entry names. */
  remote?: string
}

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
}

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
  const sources = [{ rev: 'workspace', open: () => workingTree(repo) }, ...revisions.map((rev) => ({ rev, open: () => revisionTree(repo, rev) }))]
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

const targetsIn = async (repo: Repo, tree: FileTree, selection: Selection): Promise<Target[]> =>
  findTargets(await loadStages(tree), selection.targets, folderOf(repo, selection.cwd), findOptions(selection))

const folderOf = (repo: Repo, cwd: string): string => path.relative(repo.root, cwd).split(path.sep).join('/')

const findOptions = ({ recursive = false, withDeps = false }: Selection) => ({ recursive, withDeps })

/** What the targets record. Imports from other repositories come from there, and what is not cached comes from Git. */
export function outputsOf(targets: readonly Target[], pushable: boolean): Output[] {
  return targets.flatMap((target) => {
    if (target.stage.deps.some((dep) => dep.source?.repo !== undefined)) return []
    const outs = target.out ? [target.out] : target.stage.outs
    return outs.filter((out) => out.cache && (out.push || !pushable)).flatMap((out) => toOutput(out, target.inside))
  })
}

function toOutput(out: Out, inside: string | undefined): Output[] {
  const digest = out.recorded?.digest
  if (digest === undefined) return []
  const part = inside !== undefined && isTree(digest) ? { inside } : {}
  return [{ path: out.path, digest, ...part, ...(out.remote !== undefined && { remote: out.remote }) }]
}

const keyOf = (output: Output): string => `${output.digest}\0${output.inside ?? ''}\0${output.remote ?? ''}`

async function revisionsOf(repo: Repo, selection: Selection): Promise<string[]> {
  const { git } = repo
  const { allTags, allBranches, allCommits } = selection
  if (!allTags && !allBranches && !allCommits) return []
  if (!git) throw new CairnError('FAILED', '--all-tags, --all-branches and --all-commits are only supported for Git repositories', { exit: 1 })
  const revisions = [...(allBranches ? git.branches() : []), ...(allTags ? git.tags() : []), ...(allCommits ? await commitsOf(git.root) : [])]
  return [...new Set(revisions)]
}

async function commitsOf(root: string): Promise<string[]> {
  const { code, stdout, stderr } = await capture('git', ['rev-list', '--all'], { cwd: root })
  if (code !== 0) throw new CairnError('FAILED', `git rev-list failed: ${stderr.trim()}`, { exit: 1 })
  return stdout.toString().split('\n').filter(Boolean)
}

/** Which of the entries an output means. */
export function entriesInside(entries: readonly TreeEntry[], inside: string | undefined): readonly TreeEntry[] {
  if (inside === undefined) return entries
  return entries.filter((entry) => entry.path === inside || entry.path.startsWith(`${inside}/`))
}

/** A tree's entries out of the cache; undefined when it is not there or damaged (then it was moved aside). */
export function readEntries(cache: Pick<ObjectCache, 'readTree'>, tree: Digest): TreeEntry[] | undefined {
  try {
    return cache.readTree(tree)
  } catch (error) {
    if (isCode(error, 'CACHE_MISSING', 'CACHE_DAMAGED')) return undefined
    throw error
  }
}

/** What a person calls these objects: `data` or `data/x.png`; one name each, in the order of the outputs. */
export function nameObjects(outputs: readonly Output[], digests: ReadonlySet<Digest>, cache: Pick<ObjectCache, 'readTree'>): Map<Digest, string> {
  const names = new Map<Digest, string>()
  for (const output of outputs) {
    if (names.size === digests.size) break
    if (digests.has(output.digest) && !names.has(output.digest)) names.set(output.digest, output.path)
    if (!isTree(output.digest)) continue
    for (const entry of readEntries(cache, output.digest) ?? []) {
      if (digests.has(entry.digest) && !names.has(entry.digest)) names.set(entry.digest, `${output.path}/${entry.path}`)
    }
  }
  return names
}
