import path from 'node:path/posix'
import type { Digest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { loadStages } from '../pipeline/load.ts'
import { gitPrefix } from '../repo/file-tree.ts'
import type { Git } from '../repo/git.ts'
import type { Repo } from '../repo/repo.ts'
import type { Output } from '../transfer/expand.ts'

/** Commits looked at for each stage file. */
const MOST_COMMITS = 10
/** In a long history with few changes Git may look for them longer than anybody wants to wait. */
const PATIENCE_MS = 3000

/**
 * Reads what was recorded at an output's path in the commits that touched its stage file, newest first, HEAD's included. Read
 * straight from Git's objects, each file's history once. Empty without Git.
 */
export function createHistory(repo: Repo, signal: AbortSignal): (output: Output) => Promise<Digest[]> {
  const known = new Map<string, Promise<Map<string, Digest[]>>>()
  return async ({ file, path: at }) => {
    const { git } = repo
    if (git === undefined || file === undefined) return []
    const recorded = known.get(file) ?? readHistory(repo, git, file, signal)
    known.set(file, recorded)
    return (await recorded).get(at) ?? []
  }
}

async function readHistory(repo: Repo, git: Git, file: string, signal: AbortSignal): Promise<Map<string, Digest[]>> {
  const prefix = gitPrefix(repo, git)
  const written = path.basename(file) === 'dvc.yaml' ? path.join(path.dirname(file), 'dvc.lock') : file
  const recorded = new Map<string, Digest[]>()
  const commits = await git.commitsOf(prefix + written, MOST_COMMITS, AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]))
  for (const commit of commits) {
    for (const [at, digest] of await readOutputs(git, { commit, prefix, file })) {
      const digests = recorded.get(at)
      if (digests) digests.push(digest)
      else recorded.set(at, [digest])
    }
  }
  return recorded
}

async function readOutputs(
  git: Git,
  { commit, prefix, file }: { commit: string; prefix: string; file: string },
): Promise<Array<[path: string, digest: Digest]>> {
  const read = (name: string) => git.read(commit, prefix + name)
  try {
    const stages = await loadStages({ rev: commit, read, stageFiles: () => Promise.resolve([file]) })
    return stages.flatMap((stage) =>
      stage.outs.flatMap((out): Array<[string, Digest]> => (out.recorded ? [[out.path, out.recorded.digest]] : [])),
    )
  } catch (error) {
    // A version of the file that cannot be read has nothing to tell.
    if (error instanceof CairnError) return []
    throw error
  }
}
