import path from 'node:path'
import type { Command } from '../command.ts'
import { openRepo } from '../repo/open.ts'

export const command: Command = {
  name: 'root',
  summary: "Print the repository's root, relative to this folder.",
  examples: ['cd "$(cairn root)"'],
  async run({ cwd, env, report }) {
    report({ type: 'result', text: path.relative(cwd, openRepo(cwd, env).root) || '.' })
  },
}
