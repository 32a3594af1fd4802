import { spawn, type ChildProcess } from 'node:child_process'

/**
 * The environment of every command here: nothing of the server's own, so that no PG* variable, locale or secret leaks into
 * Postgres. Messages are read by this code, hence the C locale.
 */
export const ENVIRONMENT: NodeJS.ProcessEnv = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
}

export interface CommandResult {
  /** -1 when the program could not be started or was killed. */
  code: number
  /** What it wrote, standard error last; at most 64 KiB. */
  output: string
}

/** Starts a program in a session of its own: Ctrl-C in the server's terminal must not reach Postgres before the server drains. */
export function start(command: readonly string[], stdio: 'ignore' | 'pipe' = 'pipe'): ChildProcess {
  const [file = '', ...args] = command
  return spawn(file, args, { cwd: '/', env: ENVIRONMENT, stdio: ['ignore', stdio, stdio], detached: true })
}

/** Runs a program to its end; on abort it is killed and the abort's reason thrown. */
export async function run(command: readonly string[], signal?: AbortSignal): Promise<CommandResult> {
  signal?.throwIfAborted()
  const child = start(command)
  const kill = (): boolean => child.kill('SIGKILL')
  signal?.addEventListener('abort', kill, { once: true })
  let output = ''
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-65536)
  }
  child.stdout?.on('data', collect)
  child.stderr?.on('data', collect)
  const code = await new Promise<number>((resolve) => {
    child.once('error', (error) => {
      output += error.message
      resolve(-1)
    })
    child.once('close', (exit) => resolve(exit ?? -1))
  })
  signal?.removeEventListener('abort', kill)
  signal?.throwIfAborted()
  return { code, output }
}

export async function succeeds(command: readonly string[]): Promise<boolean> {
  return (await run(command)).code === 0
}
