import type { Command, OptionSpec } from '../command.ts'
import { GLOBAL_OPTIONS } from '../global-options.ts'

/** What a shell is told about one option. */
export interface OptionWords {
  /** `-r`, `--remote`; at least one of the two. */
  short: string | undefined
  long: string | undefined
  summary: string
  /** What its value is; undefined for a flag. */
  value: 'remote' | 'file' | 'other' | undefined
}

/** What a shell is told about a command. */
export interface CommandWords {
  name: string
  summary: string
  options: readonly OptionWords[]
  /** What its operands are, as far as a shell can offer any. */
  operands: 'targets' | 'remotes' | 'files' | 'none'
}

export const GLOBAL_WORDS: readonly OptionWords[] = GLOBAL_OPTIONS.map(optionWords)

/** Hidden options are left out: they are there for old scripts. */
export function commandWords(command: Command): CommandWords {
  const own = (command.options ?? []).filter((option) => option.hidden !== true).map(optionWords)
  const flags = new Set(own.flatMap(({ short, long }) => [short, long]))
  const globals = GLOBAL_WORDS.map((option) => ({
    ...option,
    short: flags.has(option.short) ? undefined : option.short,
    long: flags.has(option.long) ? undefined : option.long,
  })).filter(({ short, long }) => short !== undefined || long !== undefined)
  return { name: command.name, summary: command.summary, options: [...own, ...globals], operands: operandsOf(command) }
}

function operandsOf({ name, arguments: operands = [] }: Command): CommandWords['operands'] {
  const [first] = operands
  if (first === undefined) return 'none'
  if (/^remote (modify|remove|rename|default)$/.test(name)) return 'remotes'
  return /target/.test(first.name) && name !== 'add' ? 'targets' : 'files'
}

function optionWords({ flags, summary }: OptionSpec): OptionWords {
  const names = flags.split(/[ ,|]+/)
  const long = names.find((name) => name.startsWith('--'))
  const value = /[<[]/.test(flags)
    ? long === '--remote'
      ? 'remote'
      : /<(n|number|count)>/.test(flags)
        ? 'other'
        : 'file'
    : undefined
  return { short: names.find((name) => /^-[^-]/.test(name)), long, summary, value }
}

/** The first words of all commands and, by first word, the second ones of a group. */
export function wordTree(commands: readonly CommandWords[]): {
  first: Array<[string, string]>
  groups: Map<string, Array<[string, string]>>
} {
  const first = new Map<string, string>()
  const groups = new Map<string, Array<[string, string]>>()
  for (const { name, summary } of commands) {
    const [word = '', second] = name.split(' ')
    if (second === undefined) {
      first.set(word, summary)
      continue
    }
    groups.set(word, [...(groups.get(word) ?? []), [second, summary]])
    if (!first.has(word)) first.set(word, `Commands of '${word}'.`)
  }
  return { first: [...first], groups }
}
