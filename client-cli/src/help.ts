import type { Command as Parser } from 'commander'
import type { Command, CommandEntry } from './command.ts'

const EXIT_CODES = `Exit codes:
  0    done
  1    the command could not do what it was asked
  251  the configuration is wrong
  252  interrupted
  253  not inside a repository
  254  the command line is wrong
  255  anything else that failed`

/** The help of `cairn` itself: every command, groups in one line each. */
export function overview(commands: readonly CommandEntry[]): string {
  const lines = new Map<string, string>()
  for (const { name, summary } of commands) {
    const [word = ''] = name.split(' ')
    const isGroup = name.includes(' ') || commands.some((entry) => entry.name.startsWith(`${word} `))
    lines.set(word, isGroup ? `${subcommands(word, commands).join(', ')}` : summary)
  }
  return `Usage: cairn [-q] [-v] [--cd DIR] [--wait-for-lock] COMMAND …

Shares a team's data, models and pipeline results. Works in every DVC repository.

Commands:
${table([...lines])}

Options:
  -h, --help       Print this help, or with a command, that command's.
  -V, --version    Print the version of Cairn.
  -q, --quiet      Print results and errors only.
  -v, --verbose    Say more, and where a failure comes from.
  --cd DIR         Run as if started in this folder.
  --wait-for-lock  Wait for as long as somebody else works in the repository.

Example:
  cairn init && cairn add images && cairn push

${EXIT_CODES}`
}

export function groupHelp(name: string, group: readonly CommandEntry[]): string {
  return `Usage: cairn ${name} COMMAND …

Commands:
${table(group.map((entry) => [entry.name, entry.summary]))}

'cairn ${name} COMMAND --help' tells more.`
}

export function commandHelp(command: Command, parser: Parser): string {
  const description = command.description === undefined ? command.summary : `${command.summary}\n\n${command.description}`
  parser.description(description)
  const examples = command.examples.map((example) => `  ${example}`).join('\n')
  return `${parser.helpInformation().trimEnd()}

${command.examples.length === 1 ? 'Example' : 'Examples'}:
${examples}

${EXIT_CODES}`
}

/** `Usage: cairn push [options] [targets...]` */
export function usageLine(parser: Parser): string {
  return `Usage: ${parser.name()} ${parser.usage()}`
}

function subcommands(group: string, commands: readonly CommandEntry[]): string[] {
  return commands.filter((entry) => entry.name.startsWith(`${group} `)).map((entry) => entry.name.slice(group.length + 1))
}

function table(rows: ReadonlyArray<readonly [string, string]>): string {
  const width = Math.max(...rows.map(([name]) => name.length), 0)
  return rows.map(([name, summary]) => `  ${name.padEnd(width)}  ${summary}`).join('\n')
}
