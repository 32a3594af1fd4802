import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
export const CAIRN = path.join(ROOT, 'client-cli/bin/cairn')

export interface Finished {
  code: number
  stdout: string
  stderr: string
  milliseconds: number
}

export interface RunOptions {
  cwd: string
  env?: Record<string, string | undefined>
  input?: string
  signal?: AbortSignal
}

/** Runs a program to its end; never throws for an exit code. */
export async function run(file: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const start = performance.now()
  const child = spawn(file, args, { cwd: options.cwd, env: cleanEnv(options.env), stdio: 'pipe', signal: options.signal })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, killed) => resolve(status ?? (killed === 'SIGKILL' ? 137 : 143)))
  })
  return { code, stdout, stderr, milliseconds: performance.now() - start }
}

/** The environment of a user with nothing configured: their own Git identity, no token, no dvc settings. */
function cleanEnv(extra: Record<string, string | undefined> = {}): NodeJS.ProcessEnv {
  const { CAIRN_TOKEN: _token, CAIRN_URL: _url, ...inherited } = process.env
  return {
    ...inherited,
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.org',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.org',
    GIT_CONFIG_GLOBAL: '/dev/null',
    DVC_NO_ANALYTICS: '1',
    ...extra,
  }
}

/** A command that goes on meanwhile. `ended` is its exit code; null when a signal ended it. */
export interface Running {
  child: ChildProcess
  ended: Promise<number | null>
}

/** A workstation: a home of its own, so that credentials and site caches of two do not meet. */
export interface Workstation {
  home: string
  /** A repository's folder. */
  dir: string
  /** Fails the test with both streams when the exit code is not 0. */
  cairn(...args: string[]): Promise<Finished>
  tryCairn(...args: string[]): Promise<Finished>
  /** Does not wait for its end; nobody reads what it prints. */
  start(...args: string[]): Running
  git(...args: string[]): string
  env: Record<string, string>
  /** The same home in another folder. */
  at(dir: string): Workstation
  remove(): void
}

export function createWorkstation(options: { env?: Record<string, string>; dir?: string } = {}): Workstation {
  const home = mkdtempSync(path.join(os.tmpdir(), 'cairn-station-'))
  const dir = options.dir ?? path.join(home, 'project')
  mkdirSync(dir, { recursive: true })
  return workstation(home, dir, {
    HOME: home,
    XDG_CONFIG_HOME: path.join(home, '.config'),
    DVC_SITE_CACHE_DIR: path.join(home, '.dvc-site'),
    ...options.env,
  })
}

function workstation(home: string, dir: string, env: Record<string, string>): Workstation {
  const tryCairn = (...args: string[]) => run(CAIRN, args, { cwd: dir, env })
  return {
    home,
    dir,
    env,
    tryCairn,
    async cairn(...args) {
      const done = await tryCairn(...args)
      if (done.code !== 0) throw new Error(`cairn ${args.join(' ')} exited with ${done.code}\n${done.stdout}\n${done.stderr}`)
      return done
    },
    start(...args) {
      const child = spawn(CAIRN, args, { cwd: dir, env: cleanEnv(env), stdio: 'ignore' })
      return { child, ended: new Promise((resolve) => child.on('close', resolve)) }
    },
    git: (...args) =>
      execFileSync('git', args, { cwd: dir, env: cleanEnv(env), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim(),
    at: (other) => workstation(home, other, env),
    // Renamed before it is deleted: a half-deleted home is never mistaken for a whole one.
    remove() {
      const trash = `${home}.trash`
      renameSync(home, trash)
      rmSync(trash, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

/** One digest for everything below a folder: names and bytes, in a fixed order. undefined when there is no such folder. */
export function folderDigest(dir: string): string | undefined {
  const hash = createHash('sha256')
  const visit = (folder: string, prefix: string) => {
    for (const name of readdirSync(folder).toSorted()) {
      const file = path.join(folder, name)
      if (lstatSync(file).isDirectory()) visit(file, `${prefix}${name}/`)
      else hash.update(`${prefix}${name}\0`).update(createHash('md5').update(readFileSync(file)).digest())
    }
  }
  try {
    if (lstatSync(dir).isDirectory()) visit(dir, '')
    else hash.update(readFileSync(dir))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  return hash.digest('hex')
}
