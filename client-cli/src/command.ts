import type { Report } from './report/event.ts'

/** One option of a command, in commander's syntax: `-r, --remote <name>`. Names follow dvc's. */
export interface OptionSpec {
  flags: string
  summary: string
  /** May be given several times; the value is an array. */
  repeatable?: boolean
  default?: unknown
  hidden?: boolean
}

export interface ArgumentSpec {
  /** `<file>`, `[target...]` */
  name: string
  summary: string
}

export type Env = Readonly<Record<string, string | undefined>>

/** What a command gets from the process; nothing else may read it. */
export interface Context {
  /** Absolute. `--cd` has been applied. */
  cwd: string
  env: Env
  /** Aborted by Ctrl-C and SIGTERM. */
  signal: AbortSignal
  report: Report
  verbose: boolean
  quiet: boolean
}

/** Parsed options by their long name in camelCase: `--no-exec` is `exec: false`, `-d A -d B` is `deps: ['A', 'B']`. */
export type Options = Readonly<Record<string, unknown>>

/** A command is a value; commands/index.ts lists them all and imports each only when it is called. */
export interface Command {
  /** With blanks for groups: `remote add`. */
  name: string
  summary: string
  /** Longer help, after the summary. */
  description?: string
  arguments?: readonly ArgumentSpec[]
  options?: readonly OptionSpec[]
  /** At least one line to paste. */
  examples: readonly string[]
  /** Everything after the first operand belongs to the operands, as in `run … CMD --flag`. */
  passThrough?: boolean
  /** The exit code of a failure that others end with 255 for: dvc ends some commands with 1. */
  failureExit?: 1
  /** Returns the exit code; undefined is 0. Failures throw CairnError. */
  run(context: Context, args: readonly string[], options: Options): Promise<number | void>
}

export interface CommandEntry {
  name: string
  summary: string
  /** Loaded only when the command is called, so that starting costs the same however many there are. */
  load: () => Promise<Command>
}
