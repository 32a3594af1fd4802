import path from 'node:path'
import { statSync } from 'node:fs'
import { CairnError } from '@cairn/protocol/error'
import { parseCommandLine, type Globals, type Invocation } from './command-line.ts'
import { COMMANDS } from './commands/index.ts'
import type { Context } from './command.ts'
import { createConsole, type Console } from './report/console.ts'
import { describeFailure } from './report/failure.ts'
import { type LateOutput, openLate } from './report/late-output.ts'
import { cairnVersion } from './version.ts'

/** What still keeps the process alive once its command is done (an idle connection, say) has so long to end by itself. */
const LINGER_MS = 100

/** Runs one command line and lets the process end with its exit code. */
export async function runCairn(argv: readonly string[], env: Context['env']): Promise<void> {
  const outputs = { stdout: openLate(() => process.stdout), stderr: openLate(() => process.stderr) }
  const interruption = listenForSignals()
  const code = await runOnce(argv, env, interruption, outputs)
  await Promise.all([outputs.stdout.flush(), outputs.stderr.flush()])
  // process.exit waits for V8's compiler threads without collecting garbage for them, and once in a while for ever.
  process.exitCode = code
  setTimeout(() => process.exit(), LINGER_MS).unref()
}

interface Outputs {
  stdout: LateOutput
  stderr: LateOutput
}

async function runOnce(argv: readonly string[], env: Context['env'], signal: AbortSignal, outputs: Outputs): Promise<number> {
  const { stdout, stderr } = outputs
  let terminal = createConsole(stdout, stderr, { quiet: false, verbose: false })
  let verbose = false
  try {
    const parsed = await parseCommandLine(argv, COMMANDS)
    if (parsed.type === 'help') {
      terminal.report({ type: 'output', text: parsed.text })
      return parsed.code
    }
    if (parsed.type === 'version') {
      terminal.report({ type: 'output', text: cairnVersion() })
      return 0
    }
    verbose = parsed.globals.verbose
    terminal = createConsole(stdout, stderr, parsed.globals)
    return await runCommandOf(parsed, env, signal, terminal)
  } catch (error) {
    const failure = describeFailure(error, { verbose, interrupted: signal.aborted ? signal.reason : undefined })
    terminal.fail(failure.text)
    return failure.code
  } finally {
    terminal.close()
  }
}

async function runCommandOf(
  invocation: Invocation,
  env: Context['env'],
  signal: AbortSignal,
  terminal: Console,
): Promise<number> {
  const { command, args, options, globals } = invocation
  const cwd = changeFolder(globals)
  const context: Context = { cwd, env, signal, report: terminal.report, verbose: globals.verbose, quiet: globals.quiet }
  const run = async () => {
    try {
      return (await command.run(context, args, options)) ?? 0
    } catch (error) {
      throw withExit(error, command.failureExit)
    }
  }
  if (!globals.waitForLock) return run()
  const { waitingForLocks } = await import('./repo/repo-lock.ts')
  return waitingForLocks(run)
}

function withExit(error: unknown, exit: number | undefined): unknown {
  if (exit === undefined || !(error instanceof CairnError) || error.exit !== 255 || error.code === 'LOCKED') return error
  return new CairnError(error.code, error.message, { ...(error.hint !== undefined && { hint: error.hint }), exit, cause: error })
}

function changeFolder(globals: Globals): string {
  if (globals.cd === undefined) return process.cwd()
  const dir = path.resolve(globals.cd)
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new CairnError('FAILED', `--cd: no such folder: '${globals.cd}'`)
  process.chdir(dir)
  return dir
}

/** The first signal asks every part to stop; a second one does not wait for that. */
function listenForSignals(): AbortSignal {
  const controller = new AbortController()
  const exits = { SIGINT: 252, SIGTERM: 143, SIGHUP: 129 } as const
  for (const [name, exit] of Object.entries(exits)) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(exit)
      controller.abort(
        new CairnError('CANCELLED', name === 'SIGINT' ? 'interrupted by the user' : `interrupted by ${name}`, {
          exit,
          data: { signal: name },
        }),
      )
    })
  }
  return controller.signal
}
