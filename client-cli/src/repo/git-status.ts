import { CairnError } from '@cairn/protocol/error'
import { capture } from '../io/spawn.ts'
import type { Git } from './git.ts'

export interface GitStatus {
  /** Something differs from HEAD, in the index or the work tree; files that Git does not know count when they were asked for. */
  dirty: boolean
  /** Relative to Git's root, in its order; empty when not asked for. */
  untracked: string[]
}

/** @throws CairnError FAILED */
export async function readGitStatus(git: Git, options: { untracked: boolean; signal: AbortSignal }): Promise<GitStatus> {
  const args = [
    '--no-optional-locks',
    'status',
    '--porcelain',
    '-z',
    '--no-renames',
    `--untracked-files=${options.untracked ? 'all' : 'no'}`,
  ]
  const { code, stdout, stderr } = await capture('git', args, { cwd: git.root, signal: options.signal })
  if (code !== 0) throw new CairnError('FAILED', `git status failed: ${stderr.trim()}`)
  const lines = stdout.toString().split('\0').filter(Boolean)
  return {
    dirty: lines.length > 0,
    untracked: lines.filter((line) => line.startsWith('?? ')).map((line) => line.slice(3)),
  }
}
