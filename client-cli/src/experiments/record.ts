import { createHash } from 'node:crypto'
import type { GitWriter } from '../repo/git-writer.ts'
import type { Repo } from '../repo/repo.ts'
import { refOf } from './refs.ts'
import { experimentFiles } from './standing.ts'

export interface NewExperiment {
  name: string
  baseline: string
  /** undefined: dvc's words with a checksum. */
  message?: string | undefined
  /** Files that belong to it too, root-relative. */
  files?: Iterable<string>
}

/** Commits what stands in the workspace as an experiment, aside of every branch. Resolves with its commit. */
export async function recordExperiment(repo: Repo, writer: GitWriter, experiment: NewExperiment): Promise<string> {
  const { name, baseline, message, files = [] } = experiment
  const tree = await writer.tree([...new Set([...(await experimentFiles(repo)), ...files])])
  const words = message ?? `dvc: commit experiment ${createHash('sha256').update(tree).digest('hex')}`
  const rev = await writer.commit(tree, [baseline], words)
  await writer.setRef(refOf(baseline, name), rev)
  return rev
}
