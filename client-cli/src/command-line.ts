import { Command as Parser, CommanderError, Option } from 'commander'
import { CairnError } from '@cairn/protocol/error'
import type { Command, CommandEntry, Options, OptionSpec } from './command.ts'
import { findLong, writeOut } from './abbreviations.ts'
import { GLOBAL_OPTIONS } from './global-options.ts'
import { commandHelp, groupHelp, overview, usageLine } from './help.ts'

/** What may stand before or after the command's name. */
export interface Globals {
  quiet: boolean
  verbose: boolean
  /** Waits for the repository's lock however long it takes. */
  waitForLock: boolean
  /** As typed. */
  cd: string | undefined
}

export interface Invocation {
  type: 'run'
  command: Command
  args: readonly string[]
  options: Options
  globals: Globals
}

export type CommandLine = Invocation | { type: 'help'; text: string; code: number } | { type: 'version' }

/** dvc's other names. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['rm', 'remove'],
  ['mv', 'move'],
  ['experiments', 'exp'],
])
const ALIASES_IN_GROUP: ReadonlyMap<string, string> = new Map([
  ['rm', 'remove'],
  ['ls', 'list'],
])

/**
 * Decides what a command line asks for, and loads that one command. Global options may stand before and after the name.
 * @throws CairnError USAGE
 */
export async function parseCommandLine(argv: readonly string[], commands: readonly CommandEntry[]): Promise<CommandLine> {
  const before = takeGlobals(argv)
  if (before.version) return { type: 'version' }
  const [typed, ...afterWord] = before.rest
  const word = ALIASES.get(typed ?? '') ?? typed
  if (word === undefined) return { type: 'help', text: overview(commands), code: before.help ? 0 : 254 }
  if (word === 'help') return parseCommandLine([...afterWord, '--help'], commands)

  const group = commands.filter((entry) => entry.name.startsWith(`${word} `))
  if (group.length > 0) {
    const inGroup = takeGlobals(afterWord)
    const second = inGroup.rest[0] ?? ''
    const named = (name: string) => group.find((candidate) => candidate.name === `${word} ${name}`)
    const entry = named(second) ?? named(ALIASES_IN_GROUP.get(second) ?? '')
    if (entry) return parseFor(entry, inGroup.rest.slice(1), merge(before, inGroup))
    if (!commands.some((candidate) => candidate.name === word)) return wholeGroup(word, group, inGroup, before.help)
  }
  const entry = commands.find((candidate) => candidate.name === word)
  if (entry === undefined)
    throw unknownCommand(
      word,
      commands.map((candidate) => candidate.name.split(' ')[0] ?? ''),
    )
  return parseFor(entry, afterWord, before)
}

interface Taken extends Globals {
  help: boolean
  version: boolean
  rest: readonly string[]
}

const GLOBAL_NAMES = GLOBAL_OPTIONS.map(({ flags }) => ({ long: /--[a-z-]+/.exec(flags)?.[0] }))

/** Global options up to the first word that is none. @throws CairnError USAGE */
function takeGlobals(argv: readonly string[]): Taken {
  const taken: Taken = { quiet: false, verbose: false, waitForLock: false, cd: undefined, help: false, version: false, rest: [] }
  for (let at = 0; ; at++) {
    const word = argv[at]
    if (word === undefined || !word.startsWith('-') || word === '-') return { ...taken, rest: argv.slice(at) }
    if (/^-[qvhV]+$/.test(word)) {
      taken.quiet ||= word.includes('q')
      taken.verbose ||= word.includes('v')
      taken.help ||= word.includes('h')
      taken.version ||= word.includes('V')
      continue
    }
    const [name = '', ...value] = word.split('=')
    const long = name.startsWith('--') ? findLong(name, GLOBAL_NAMES, 'cairn --help')?.long : undefined
    if (long === '--cd') {
      taken.cd = value.length > 0 ? value.join('=') : argv[++at]
      if (taken.cd === undefined) throw usage("option '--cd <dir>' argument missing", 'cairn --help')
    } else if (long === undefined || value.length > 0) throw usage(`unrecognized arguments: ${word}`, 'cairn --help')
    else if (long === '--help') taken.help = true
    else if (long === '--version') taken.version = true
    else if (long === '--wait-for-lock') taken.waitForLock = true
    else if (long === '--quiet') taken.quiet = true
    else taken.verbose = true
  }
}

function merge(outer: Taken, inner: Taken): Taken {
  return {
    ...inner,
    quiet: outer.quiet || inner.quiet,
    verbose: outer.verbose || inner.verbose,
    waitForLock: outer.waitForLock || inner.waitForLock,
    cd: inner.cd ?? outer.cd,
    help: outer.help || inner.help,
  }
}

function wholeGroup(name: string, group: readonly CommandEntry[], taken: Taken, help: boolean): CommandLine {
  const [word] = taken.rest
  if (word === undefined || help || taken.help)
    return { type: 'help', text: groupHelp(name, group), code: help || taken.help ? 0 : 254 }
  throw unknownCommand(
    `${name} ${word}`,
    group.map((entry) => entry.name),
  )
}

async function parseFor(entry: CommandEntry, argv: readonly string[], before: Taken): Promise<CommandLine> {
  const command = await entry.load()
  const parser = createParser(command)
  if (before.help) return { type: 'help', text: commandHelp(command, parser), code: 0 }
  try {
    const specs = [...(command.options ?? []), ...globalsBeside(command)]
    const help = `cairn ${command.name} --help`
    parser.parse(writeOut(argv, specs, { passThrough: command.passThrough ?? false, help }), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw withUsage(error, usageLine(parser))
    if (error.code === 'commander.helpDisplayed') return { type: 'help', text: commandHelp(command, parser), code: 0 }
    throw withUsage(asUsageError(error, command.name), usageLine(parser))
  }
  const { quiet, verbose, cd, waitForLock, version, ...options } = parser.opts<Record<string, unknown>>()
  if (version === true) return { type: 'version' }
  const globals = {
    quiet: before.quiet || quiet === true,
    verbose: before.verbose || verbose === true,
    waitForLock: before.waitForLock || waitForLock === true,
    cd: typeof cd === 'string' ? cd : before.cd,
  }
  return { type: 'run', command, args: parser.args, options, globals }
}

function createParser(command: Command): Parser {
  const parser = new Parser(`cairn ${command.name}`)
    .description(command.summary)
    .exitOverride()
    .configureOutput({ writeOut: () => undefined, writeErr: () => undefined, outputError: () => undefined })
    .helpOption('-h, --help', 'Print this help.')
    .allowExcessArguments(false)
    .passThroughOptions(command.passThrough ?? false)
    .action(() => undefined)
  for (const { name, summary } of command.arguments ?? []) parser.argument(name, summary)
  const globals = globalsBeside(command).filter(({ flags }) => !flags.endsWith('--help'))
  for (const option of [...(command.options ?? []), ...globals]) parser.addOption(toOption(option))
  return parser
}

function globalsBeside(command: Command): OptionSpec[] {
  const own = new Set((command.options ?? []).flatMap((option) => option.flags.split(/[ ,|]+/)))
  return GLOBAL_OPTIONS.map((option) => withoutFlags(option, own)).filter((option) => option !== undefined)
}

/** A command's own flag wins over a global one of the same letter. */
function withoutFlags(option: OptionSpec, taken: ReadonlySet<string>): OptionSpec | undefined {
  const flags = option.flags.split(', ').filter((flag) => !taken.has(flag.split(' ')[0] ?? ''))
  return flags.length === 0 ? undefined : { ...option, flags: flags.join(', ') }
}

function toOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.summary).hideHelp(spec.hidden ?? false)
  if (spec.default !== undefined) option.default(spec.default)
  if (spec.repeatable)
    option.argParser((value: string, previous: unknown) => (Array.isArray(previous) ? [...previous, value] : [value]))
  return option
}

function asUsageError(error: CommanderError, name: string): CairnError {
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? ''
  const near = /\(Did you mean (.*)\?\)/.exec(error.message)?.[1]
  const help = `cairn ${name} --help`
  switch (error.code) {
    case 'commander.unknownOption':
      return usage(`unrecognized arguments: ${quoted}`, help, near)
    case 'commander.missingArgument':
      return usage(`the following arguments are required: ${quoted}`, help)
    case 'commander.excessArguments':
      return usage(`too many arguments for 'cairn ${name}'`, help)
    default:
      return usage(error.message.replace(/^error: /, ''), help)
  }
}

/** The failure with the command's usage line below it. */
function withUsage(error: unknown, line: string): unknown {
  if (!(error instanceof CairnError)) return error
  return new CairnError(error.code, error.message, { hint: `${line}\n${error.hint ?? ''}`, exit: error.exit, cause: error.cause })
}

function unknownCommand(word: string, names: readonly string[]): CairnError {
  const near = [...new Set(names)].filter((name) => distance(name, word) <= 2 || (word.length > 2 && name.startsWith(word)))
  const help = word.includes(' ') ? `cairn ${word.split(' ')[0]} --help` : 'cairn --help'
  return usage(`'${word}' is not a command`, help, near.length === 0 ? undefined : near.slice(0, 3).join(' or '))
}

function usage(message: string, help: string, near?: string): CairnError {
  return new CairnError('USAGE', message, { hint: `${near === undefined ? '' : `Did you mean ${near}? `}See '${help}'.` })
}

/** Levenshtein's, on names of a dozen letters. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current[j] = Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1)
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
