import { AsyncLocalStorage } from 'node:async_hooks'
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError, isCode } from '@cairn/protocol/error'
import { captureSync } from '../io/spawn.ts'
import { makeFolders } from '../io/make-folders.ts'
import type { Repo } from './repo.ts'

const TRIES = 7
const PAUSE_MS = 500

/** Locks that the running chain of calls holds: a nested call with the same one just runs. */
const held = new AsyncLocalStorage<ReadonlySet<string>>()
/** True inside of `waitingForLocks`. */
const patient = new AsyncLocalStorage<boolean>()
/** Within this process the lock is handed on in order; the system's lock only keeps other processes out. */
const queues = new Map<string, Promise<unknown>>()

/**
 * Runs `fn` while no other cairn and no dvc works in the repository. Waits 3 s for them. It is released when `fn` settles,
 * and by the system when the process dies.
 * @throws CairnError LOCKED
 */
export async function withRepoLock<T>(repo: Repo, signal: AbortSignal, fn: () => Promise<T>): Promise<T> {
  return withFileLock(path.join(repo.tmpDir, 'lock'), signal, fn)
}

/** The same with another of dvc's lock files, given by its absolute path. */
export async function withFileLock<T>(file: string, signal: AbortSignal, fn: () => Promise<T>): Promise<T> {
  const mine = held.getStore()
  if (mine?.has(file)) return fn()
  const turn = (queues.get(file) ?? Promise.resolve()).then(async () => {
    const release = await acquire(file, signal)
    try {
      return await held.run(new Set([...(mine ?? []), file]), fn)
    } finally {
      release()
    }
  })
  // The next in line starts when this one has settled, whichever way.
  queues.set(
    file,
    turn.catch(() => undefined),
  )
  return turn
}

/** Runs `fn` with locks that are waited for until they are free, or the signal aborts: `--wait-for-lock`. */
export function waitingForLocks<T>(fn: () => Promise<T>): Promise<T> {
  return patient.run(true, fn)
}

async function acquire(file: string, signal: AbortSignal): Promise<() => void> {
  makeFolders(path.dirname(file))
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    const release = tryLock(file)
    if (release) return release
    if (attempt >= TRIES && patient.getStore() !== true) throw locked(file)
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

/**
 * dvc's lock is flock(2), which Node does not offer. It belongs to the open file, not to the process that asked for it: so a
 * child that inherits our descriptor takes the lock and leaves, and we hold it until we close the descriptor or die.
 */
function tryLock(file: string): (() => void) | undefined {
  const fd = openSync(file, 'a+')
  try {
    const asked = captureSync('flock', ['-x', '-n', '3'], { cwd: '/', stdio: ['ignore', 'ignore', 'pipe', fd] })
    if (asked.code === 0) {
      writeOwner(fd)
      return () => closeSync(fd)
    }
    closeSync(fd)
    if (asked.code === 1) return undefined
    throw new CairnError('FAILED', `cannot lock '${file}': ${asked.stderr.trim()}`)
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error
    closeSync(fd)
    return tryPidFile(`${file}.cairn`)
  }
}

/** Where there is no flock program: keeps cairn from cairn, not from dvc. */
function tryPidFile(file: string): (() => void) | undefined {
  try {
    const fd = openSync(file, 'wx')
    writeOwner(fd)
    closeSync(fd)
    return () => rmSync(file, { force: true })
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
  }
  const owner = ownerOf(file)
  // A process that died left its file behind; the next try takes it. Two that remove it at once both go through 'wx' again.
  if (owner !== undefined && !isAlive(owner)) rmSync(file, { force: true })
  return undefined
}

/** As dvc writes it: a blank, the pid, a line feed. */
function writeOwner(fd: number): void {
  if (fstatSync(fd).size > 0) ftruncateSync(fd, 0)
  writeSync(fd, ` ${process.pid}\n`)
}

function ownerOf(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10)
    return pid > 0 ? pid : undefined
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

function locked(file: string): CairnError {
  const owner = ownerOf(file)
  const who = owner !== undefined && isAlive(owner) ? ` (PID ${owner})` : ''
  return new CairnError(
    'LOCKED',
    `Unable to acquire lock. Most likely another cairn or dvc process is running in this repository${who}.`,
    {
      hint: `It holds '${file}'. Wait until it has ended, then run the command again.`,
    },
  )
}
