import type { ChildProcess } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError, isCode } from '@cairn/protocol/error'
import { start } from './command.ts'
import { commandLineOf, isOwnerAlive, ownerOfPostmaster, ownOwner } from './owner.ts'
import type { RunAs } from './run-mode.ts'

export interface PostmasterOptions {
  bin: string
  data: string
  socketDir: string
  as: RunAs
  settings: Readonly<Record<string, string>>
  /** How long to wait for a living server that holds the cluster. */
  patienceMs: number
  signal?: AbortSignal | undefined
  log: (line: string) => void
}

/** How long a start waits for an orphan to finish; it is asked to after the first second. */
const ORPHAN_PATIENCE_MS = 60_000

/**
 * Starts the postmaster and resolves once it takes connections. A cluster that is taken is waited for: its owner may be
 * stopping, or was killed and has left an orphan, which is asked to stop.
 * @throws CairnError LOCKED when a living server keeps the cluster, CONFIG when Postgres does not start
 */
export async function startPostmaster(options: PostmasterOptions): Promise<ChildProcess> {
  const begun = Date.now()
  for (;;) {
    options.signal?.throwIfAborted()
    const { child, state, output } = await launch(options)
    if (state === 'ready') return child
    options.signal?.throwIfAborted()
    if (state === 'dead')
      throw new CairnError('CONFIG', `${options.data}: PostgreSQL did not start: ${output.trim().slice(-2000)}`)
    settleLock(options.data, Date.now() - begun, options.patienceMs)
    await sleep(100)
  }
}

function settleLock(data: string, waitedMs: number, patienceMs: number): void {
  const pid = postmasterPid(data)
  const commandLine = pid === undefined ? undefined : commandLineOf(pid)
  if (pid === undefined || !commandLine) return
  if (!commandLine.includes(data)) {
    // The pid in the lock belongs to another program by now, as happens when a container is made anew over an old volume.
    fs.rmSync(path.join(data, 'postmaster.pid'), { force: true })
    return
  }
  const owner = ownerOfPostmaster(commandLine)
  if (owner !== undefined && isOwnerAlive(owner)) {
    if (waitedMs < patienceMs) return
    throw new CairnError('LOCKED', `${path.dirname(data)}: another server (pid ${owner.split('.')[0]}) uses this database`, {
      hint: 'stop it, or give this one a CAIRN_HOME of its own',
    })
  }
  if (waitedMs > ORPHAN_PATIENCE_MS)
    throw new CairnError('LOCKED', `${data}: PostgreSQL (pid ${pid}) of a killed server does not stop`)
  if (waitedMs > 1000) process.kill(pid, 'SIGINT')
}

function postmasterPid(data: string): number | undefined {
  try {
    const pid = Number.parseInt(fs.readFileSync(path.join(data, 'postmaster.pid'), 'utf8'), 10)
    return pid > 1 ? pid : undefined
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

type LaunchState = 'ready' | 'locked' | 'dead'

async function launch(options: PostmasterOptions): Promise<{ child: ChildProcess; state: LaunchState; output: string }> {
  const child = start(commandOf(options))
  const kill = (): boolean => child.kill('SIGINT')
  options.signal?.addEventListener('abort', kill, { once: true })
  let output = ''
  const state = await new Promise<LaunchState>((resolve) => {
    child.once('error', (error) => {
      output += error.message
      resolve('dead')
    })
    child.once('close', () => resolve(/lock file .* already exists/.test(output) ? 'locked' : 'dead'))
    const read = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-20_000)
      if (output.includes('ready to accept connections')) resolve('ready')
    }
    child.stderr?.on('data', read)
    child.stdout?.resume()
  })
  options.signal?.removeEventListener('abort', kill)
  if (state === 'ready') forwardLog(child, options.log)
  return { child, state, output }
}

function commandOf({ as, bin, data, socketDir, settings }: PostmasterOptions): string[] {
  const all: Record<string, string> = {
    listen_addresses: '',
    unix_socket_permissions: '0700',
    max_connections: '50',
    log_checkpoints: 'off',
    'cairn.owner': ownOwner(),
    // After a crash the whole cluster is synced; one call for the file system takes a third of the time of one for each file.
    ...(process.platform === 'linux' ? { recovery_init_sync_method: 'syncfs' } : {}),
    ...settings,
  }
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return [...as.prefix, path.join(bin, 'postgres'), '-D', data, '-k', socketDir, ...flags]
}

/** What every open connection is told at a stop. */
const FAREWELL = 'terminating connection due to administrator command'

/** Postgres blocks when nobody reads what it writes, so the pipe is always drained; only what matters is passed on. */
function forwardLog(child: ChildProcess, log: (line: string) => void): void {
  let rest = ''
  child.stderr?.removeAllListeners('data')
  child.stderr?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n')
    rest = (lines.pop() ?? '').slice(-8192)
    for (const line of lines) if (/ (?:WARNING|FATAL|PANIC): /.test(line) && !line.includes(FAREWELL)) log(line)
  })
}

/** Stops it fast: running transactions roll back, the rest is on disk. Idempotent. */
export async function stopPostmaster(child: ChildProcess): Promise<void> {
  for (const [signal, patienceMs] of [
    ['SIGINT', 20_000],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill(signal)
    const timer = new AbortController()
    await Promise.race([exited, sleep(patienceMs, undefined, { signal: timer.signal }).catch(() => undefined)])
    timer.abort()
  }
}
