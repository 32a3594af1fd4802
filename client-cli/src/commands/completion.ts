import { CairnError } from '@cairn/protocol/error'
import type { Command, CommandEntry } from '../command.ts'
import { bashCompletion } from './completion-bash.ts'
import { fishCompletion } from './completion-fish.ts'
import { commandWords } from './completion-words.ts'
import { zshCompletion } from './completion-zsh.ts'

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }

/** The command that prints a shell's script for all of `commands`, which it loads to learn their options. */
export function completionOf(commands: readonly CommandEntry[]): Command {
  return {
    name: 'completion',
    summary: "Print a shell's completion script.",
    description: 'It completes commands, options, files, and the names of stages and remotes.',
    options: [{ flags: '-s, --shell <name>', summary: 'bash, zsh or fish.', default: 'bash' }],
    examples: ['source <(cairn completion -s bash)', 'cairn completion -s fish > ~/.config/fish/completions/cairn.fish'],
    async run(context, _, options) {
      const shell = String(options['shell'])
      const write = Object.entries(SHELLS).find(([name]) => name === shell)?.[1]
      if (write === undefined)
        throw new CairnError('USAGE', `argument -s/--shell: invalid choice: '${shell}' (choose from 'bash', 'zsh', 'fish')`)
      const loaded = await Promise.all(commands.map(({ load }) => load()))
      context.report({ type: 'output', text: write(loaded.map(commandWords)) })
    },
  }
}
