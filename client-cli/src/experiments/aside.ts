import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { gitPrefix } from '../repo/file-tree.ts'
import type { GitWriter } from '../repo/git-writer.ts'
import { openRepo } from '../repo/open.ts'
import type { Repo } from '../repo/repo.ts'

let serial = 0

/**
 * Runs `work` in a copy of the repository beside the workspace, at a commit; the cache is the same. The copy is taken away when
 * `work` has settled.
 */
export async function inCopy<T>(
  { repo, writer, env }: { repo: Repo; writer: GitWriter; env: Readonly<Record<string, string | undefined>> },
  commit: string,
  work: (copy: Repo) => Promise<T>,
): Promise<T> {
  const folder = path.join(repo.tmpDir, 'exps', `cairn-${process.pid}-${serial++}`)
  mkdirSync(path.dirname(folder), { recursive: true })
  await writer.ask(['-c', 'core.hooksPath=/dev/null', 'worktree', 'add', '--quiet', '--detach', folder, commit])
  try {
    const root = path.join(folder, gitPrefix(repo, writer.git))
    if (!existsSync(path.join(root, '.dvc')))
      throw new CairnError('FAILED', "'.dvc' is not committed to Git: an experiment beside the workspace has no repository", {
        hint: 'git add .dvc && git commit, or run it without --temp and --queue.',
      })
    const local = path.join(repo.dvcDir, 'config.local')
    if (existsSync(local)) copyFileSync(local, path.join(root, '.dvc/config.local'))
    const copy = { ...openRepo(root, env), cacheDir: repo.cacheDir }
    try {
      return await work(copy)
    } finally {
      await copy.git?.close()
    }
  } finally {
    await writer.ask(['worktree', 'remove', '--force', folder])
  }
}
