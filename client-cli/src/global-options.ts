import type { OptionSpec } from './command.ts'

/** What may stand before or after the name of every command. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { flags: '-q, --quiet', summary: 'Print results and errors only.' },
  { flags: '-v, --verbose', summary: 'Say more, and where a failure comes from.' },
  { flags: '--cd <dir>', summary: 'Run as if started in this folder.' },
  { flags: '--wait-for-lock', summary: 'Wait for as long as somebody else works in the repository.' },
  { flags: '-V, --version', summary: 'Print the version of Cairn.' },
  { flags: '-h, --help', summary: 'Print this help.' },
]
