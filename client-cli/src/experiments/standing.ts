import path from 'node:path'
import { loadPipelines } from '../pipeline/load.ts'
import { checkOutStage } from '../pipeline/run-stage.ts'
import { isAtOrBelow, isUrl } from '../pipeline/stage-path.ts'
import type { Stage } from '../pipeline/stage.ts'
import { workingTree } from '../repo/file-tree.ts'
import type { GitWriter } from '../repo/git-writer.ts'
import type { Repo } from '../repo/repo.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import type { Report } from '../report/event.ts'
import { openWorkspace } from '../workspace/open.ts'
import type { Workspace } from '../workspace/workspace.ts'

/** The files that belong to an experiment although Git may not track them yet: stage files, params, what stages make for Git. */
export async function experimentFiles(repo: Repo): Promise<string[]> {
  const tree = workingTree(repo)
  const { stages, files } = await loadPipelines(tree)
  const named = [...files.values()].flatMap((file) => [...file.params, ...file.metrics])
  const found = [
    ...(await tree.stageFiles()),
    ...named,
    ...stages.flatMap((stage) => [
      ...stage.params.map((params) => params.path),
      ...stage.outs.flatMap((out) => [
        path.posix.join(path.posix.dirname(out.path), '.gitignore'),
        ...(out.cache ? [] : [out.path]),
      ]),
    ]),
  ]
  const tracked = stages.flatMap((stage) => stage.outs.filter((out) => out.cache).map((out) => out.path))
  const isTracked = (file: string) => tracked.some((out) => isAtOrBelow(file, out))
  return [...new Set(found)].filter((file) => isInside(file) && !isTracked(file))
}

const isInside = (file: string): boolean => !path.isAbsolute(file) && !file.startsWith('../') && !isUrl(file)

/** Puts every cached output that the stage files record into the workspace; what is saved nowhere goes into the cache first. */
export async function checkOutOutputs(workspace: Workspace, report: Report): Promise<void> {
  const { stages } = await loadPipelines(workingTree(workspace.repo))
  for (const stage of stages) {
    const outs = stage.outs.filter((out) => out.cache)
    if (outs.length === 0 || (await checkOutStage(workspace, { ...stage, outs }))) continue
    report({ type: 'warning', text: `the cache lacks outputs of '${stage.address}'; get them with 'cairn pull'` })
  }
}

/**
 * Runs `work`; if it fails or is interrupted, the workspace gets back what it held: the files that Git or an experiment keeps,
 * and the outputs that they record.
 */
export async function orRestore<T>(
  { repo, report }: { repo: Repo; report: Report },
  writer: GitWriter,
  before: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    await restore(repo, writer, before, report)
    throw error
  }
}

/** With a signal of its own: what interrupted the work must not interrupt this. */
async function restore(repo: Repo, writer: GitWriter, before: string, report: Report): Promise<void> {
  const { signal } = new AbortController()
  await withRepoLock(repo, signal, async () => {
    const standing = await writer.tree(await experimentFiles(repo))
    if (standing === before) return
    await writer.change(standing, before)
    const workspace = openWorkspace(repo, { signal, report })
    try {
      await checkOutOutputs(workspace, report)
    } finally {
      workspace.close()
    }
    report({ type: 'note', text: 'The workspace is what it was before the experiment.' })
  })
}

/** True when a stage's outputs all stand, so that it can be recorded. */
export const isWhole = (stage: Stage, stands: (file: string) => boolean): boolean =>
  stage.outs.length > 0 && stage.outs.every((out) => stands(out.path))
