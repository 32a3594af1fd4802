import type { Context } from '../command.ts'
import { loadStages } from '../pipeline/load.ts'
import { openPathLocks, type PathLocks } from '../pipeline/path-locks.ts'
import type { Running } from '../pipeline/run-stage.ts'
import type { Stage } from '../pipeline/stage.ts'
import { workingTree } from '../repo/file-tree.ts'
import { openRepo } from '../repo/open.ts'
import type { Repo } from '../repo/repo.ts'
import { openWorkspace } from '../workspace/open.ts'
import { folderIn } from './root-relative.ts'

/** What commands work with that only read and write stage files. */
export interface StageSession {
  repo: Repo
  /** The stages as their files are now. What is going to be written must be read with the repository locked. */
  load(): Promise<Stage[]>
  /** The person's folder, root-relative; '' is the root. */
  cwd: string
}

/** What commands work with that also look at the workspace or run stages. */
export interface Session extends StageSession, Running {
  locks: PathLocks
}

/** Opens the repository, and closes what was opened when `work` has settled. */
export async function withStages<T>(context: Context, work: (session: StageSession) => Promise<T>): Promise<T> {
  const repo = openRepo(context.cwd, context.env)
  try {
    return await work({ repo, load: () => loadStages(workingTree(repo)), cwd: folderIn(repo, context.cwd) })
  } finally {
    await repo.git?.close()
  }
}

/** The same with the workspace. `commandLine` is what other processes are told when they meet a path that is in use. */
export async function withSession<T>(context: Context, commandLine: string, work: (session: Session) => Promise<T>): Promise<T> {
  const { signal, report, env } = context
  return withStages(context, async (session) => {
    const workspace = openWorkspace(session.repo, { signal, report })
    const locks = openPathLocks(session.repo, { cmd: commandLine, signal, report })
    try {
      return await work({ ...session, workspace, locks, env, signal, report, touched: new Set() })
    } finally {
      workspace.close()
    }
  })
}
