import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'

/** The grace between asking a command to end and killing it. */
const KILL_AFTER_MS = 5000

/** How long the pipes of a command that has ended may stay open. */
const PIPES_OPEN_MS = 1000

export interface Ended {
  /** null when a signal ended it. */
  code: number | null
  signal: NodeJS.Signals | null
}

export interface CommandOptions {
  cwd: string
  env: NodeJS.ProcessEnv
  signal: AbortSignal
  /** Gets what the command prints, in whole characters. Without it the command has the terminal's own streams, with it no input. */
  onOutput?: ((stream: 'stdout' | 'stderr', text: string) => void) | undefined
}

/**
 * Runs one line of a stage's command in the user's shell and resolves when it has ended, whatever its exit code. On abort it
 * is sent the signal that cairn got, and SIGKILL 5 s later; then it resolves as well.
 * @throws CairnError FAILED when the shell or the folder does not exist
 */
export function runCommand(cmd: string, options: CommandOptions): Promise<Ended> {
  const { cwd, env, signal, onOutput } = options
  const [file, args] = shellFor(cmd, env)
  // A group of its own lets an abort reach everything that the shell started. Not on a terminal: there only the
  // foreground group may read, and Ctrl-C reaches everybody by itself.
  const detached = process.platform !== 'win32' && !process.stdin.isTTY
  const child = spawn(file, args, {
    cwd,
    env,
    stdio: onOutput ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    detached,
    windowsVerbatimArguments: process.platform === 'win32',
  })
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream]?.setEncoding('utf8').on('data', (text: string) => onOutput?.(stream, text))
  return settle(child, signal, (name) => kill(child, name, detached), detached, { file, cwd })
}

function shellFor(cmd: string, env: NodeJS.ProcessEnv): [file: string, args: string[]] {
  if (process.platform === 'win32') return [env['ComSpec'] ?? 'cmd.exe', ['/d', '/s', '/c', `"${cmd}"`]]
  const shell = env['SHELL'] || '/bin/sh'
  const quiet: Record<string, string[]> = { bash: ['--noprofile', '--norc'], zsh: ['--no-rcs'], fish: ['--no-config'] }
  return [shell, [...(quiet[path.basename(shell)] ?? []), '-c', cmd]]
}

function settle(
  child: ChildProcess,
  signal: AbortSignal,
  send: (name: NodeJS.Signals) => void,
  detached: boolean,
  where: { file: string; cwd: string },
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const timers: NodeJS.Timeout[] = []
    const stop = () => {
      const name = signalOf(signal)
      // On a terminal Ctrl-C has reached the command already; a second one makes many programs give up their clean-up.
      if (detached || name !== 'SIGINT') send(name)
      else timers.push(setTimeout(() => send('SIGTERM'), KILL_AFTER_MS / 2))
      timers.push(setTimeout(() => send('SIGKILL'), KILL_AFTER_MS))
    }
    const finish = () => {
      signal.removeEventListener('abort', stop)
      for (const timer of timers) clearTimeout(timer)
    }
    child.on('error', (error) => {
      finish()
      reject(new CairnError('FAILED', `cannot run '${where.file}' in '${where.cwd}': ${error.message}`, { cause: error }))
    })
    child.on('exit', (code, name) => {
      const ended = () => {
        finish()
        resolve({ code, signal: name })
      }
      if (child.stdout === null) return ended()
      // What it started in the background may hold the pipes open for ever; what it printed itself is there by then.
      child.on('close', ended)
      timers.push(setTimeout(ended, PIPES_OPEN_MS))
    })
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

function kill(child: ChildProcess, name: NodeJS.Signals, group: boolean): void {
  if (child.pid === undefined) return
  try {
    process.kill(group ? -child.pid : child.pid, name)
  } catch (error) {
    if (!isCode(error, 'ESRCH')) throw error
  }
}

function signalOf(signal: AbortSignal): NodeJS.Signals {
  const reason: unknown = signal.reason
  return reason instanceof CairnError && reason.data?.['signal'] !== undefined && reason.data['signal'] !== 'SIGINT'
    ? 'SIGTERM'
    : 'SIGINT'
}

export interface Captured {
  code: number
  stdout: Buffer
  stderr: string
}

/**
 * Runs a program without a shell and collects its output, which must fit into memory; never throws for an exit code.
 * On abort the program gets SIGTERM, and it rejects with the signal's reason.
 * @throws the system's error (ENOENT) when the program cannot be started
 */
export async function capture(
  file: string,
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv; signal?: AbortSignal; input?: string },
): Promise<Captured> {
  const { cwd, env, signal, input } = options
  signal?.throwIfAborted()
  const child = spawn(file, args, { cwd, ...(env && { env }), stdio: 'pipe' })
  const stop = () => child.kill('SIGTERM')
  signal?.addEventListener('abort', stop, { once: true })
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 255))
  })
  // A program that ends before it has read its input is judged by its exit code alone.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input ?? '')
  try {
    const [stdout, stderr, code] = await Promise.all([collect(child.stdout), collect(child.stderr), ended])
    signal?.throwIfAborted()
    return { code, stdout, stderr: stderr.toString() }
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** As `capture`, waiting for it. For programs that answer within milliseconds, as git's small questions do. */
export function captureSync(
  file: string,
  args: readonly string[],
  options: { cwd: string; stdio?: Array<'ignore' | 'pipe' | number> },
): Captured {
  const done = spawnSync(file, args, { cwd: options.cwd, maxBuffer: 1 << 30, stdio: options.stdio ?? ['ignore', 'pipe', 'pipe'] })
  if (done.error) throw done.error
  return { code: done.status ?? 255, stdout: done.stdout ?? Buffer.alloc(0), stderr: String(done.stderr ?? '') }
}
