import type { Command } from '../command.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { rootRelative } from './root-relative.ts'
import { withSession } from './session.ts'

export const command: Command = {
  name: 'unprotect',
  summary: 'Make tracked files writable, as copies that the cache does not share.',
  arguments: [{ name: '<target...>', summary: 'Files and folders.' }],
  examples: ['cairn unprotect data/labels.csv'],
  run: (context, args) =>
    withSession(context, ['cairn', 'unprotect', ...args].join(' '), ({ workspace, repo, signal }) =>
      withRepoLock(repo, signal, async () => {
        for (const target of args) await workspace.unprotect(rootRelative(repo, context.cwd, target))
      }),
    ),
}
