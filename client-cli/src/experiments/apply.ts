import type { GitWriter } from '../repo/git-writer.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import type { Report } from '../report/event.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { baselineOf, type ExperimentRef } from './refs.ts'
import { checkOutOutputs, experimentFiles, orRestore } from './standing.ts'

const STASH = 'refs/exps/apply/stash'

/**
 * Makes the workspace what HEAD is with the changes of an experiment. What stood there is kept as a commit, where dvc keeps it
 * too; whatever fails, it is put back.
 */
export async function applyExperiment(
  { workspace, signal, report }: { workspace: Workspace; signal: AbortSignal; report: Report },
  writer: GitWriter,
  experiment: ExperimentRef,
): Promise<void> {
  const { repo } = workspace
  await withRepoLock(repo, signal, async () => {
    const head = baselineOf(writer)
    const before = await writer.tree(await experimentFiles(repo))
    await keep(writer, { head, before }, experiment)
    const after = await writer.graft(`${head}^{tree}`, experiment.baseline, experiment.rev)
    await orRestore({ repo, report }, writer, before, async () => {
      await writer.change(before, after)
      signal.throwIfAborted()
      await checkOutOutputs(workspace, report)
    })
  })
}

async function keep(
  writer: GitWriter,
  { head, before }: { head: string; before: string },
  { rev, name }: ExperimentRef,
): Promise<void> {
  const subject = `dvc-exp-apply:${head}:${rev}:${name}`
  const index = await writer.commit(before, [head], 'Index stash')
  const stash = await writer.commit(before, [head, index], subject)
  if ((await writer.refs(STASH)).length > 0) await writer.removeRef(STASH)
  await writer.setRef(STASH, stash, `commit: ${subject}`)
  await writer.setRef('refs/exps/apply/ORIG_HEAD', head)
}
