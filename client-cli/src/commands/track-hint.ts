import path from 'node:path'
import type { Repo } from '../repo/repo.ts'
import type { Report } from '../report/event.ts'
import { folderIn } from './root-relative.ts'

/** Says which files to add to Git, root-relative; with `core.autostage` adds them. */
export function hintToTrack(repo: Repo, files: Iterable<string>, { cwd, report }: { cwd: string; report: Report }): void {
  const sorted = [...files].toSorted()
  if (repo.git === undefined || sorted.length === 0) return
  if (repo.config.get('core', 'autostage')?.toLowerCase() === 'true') {
    repo.git.stage(sorted.map((file) => path.join(repo.root, file)))
    return
  }
  const from = `/${folderIn(repo, cwd)}`
  const names = sorted.map((file) => shellWord(path.posix.relative(from, `/${file}`)))
  report({
    type: 'result',
    text: `\nTo track the changes with git, run:\n\n\tgit add ${names.join(' ')}\n\nTo enable auto staging, run:\n\n\tcairn config core.autostage true`,
  })
}

const shellWord = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)
