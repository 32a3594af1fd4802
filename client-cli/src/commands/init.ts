import path from 'node:path'
import type { Command } from '../command.ts'
import { initRepo } from '../repo/init.ts'
import { makeFolders } from '../io/make-folders.ts'

export const command: Command = {
  name: 'init',
  summary: 'Make a repository in this folder.',
  description: 'Writes .dvc/ and .dvcignore, which dvc reads as well, and stages them in Git.',
  arguments: [{ name: '[dir]', summary: 'The folder; the current one by default.' }],
  options: [
    { flags: '--no-scm', summary: 'Without Git.' },
    { flags: '--subdir', summary: "Here, below Git's root." },
    { flags: '-f, --force', summary: 'Replace an existing .dvc, except for its cache.' },
  ],
  examples: ['git init && cairn init', 'cairn init --subdir'],
  async run({ cwd, report }, [dir], options) {
    const folder = path.resolve(cwd, dir ?? '.')
    if (dir !== undefined) makeFolders(folder)
    const { git } = initRepo(folder, {
      noScm: options['scm'] === false,
      subdir: options['subdir'] === true,
      force: options['force'] === true,
    })
    const lines = ['Initialized DVC repository.', '']
    if (git) lines.push('You can now commit the changes to git.', '')
    lines.push(
      "What's next?",
      '  cairn add <folder>               track data',
      '  cairn remote add -d <name> <url>  say where to share it',
    )
    report({ type: 'result', text: lines.join('\n') })
  },
}
