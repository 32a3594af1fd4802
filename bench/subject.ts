import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Machine, Timing } from './machine.ts'
import { type Bucket, type Place, unique } from './place.ts'

export interface Subject {
  /** As the tables call it. */
  name: string
  tool: 'cairn' | 'dvc' | 'restic'
  /** The program. */
  file: string
  /** Where it pushes to; without one it works alone. */
  place?: Place
  /** Where restic keeps its repository; a folder of its own without one. */
  bucket?: Bucket
}

export type Ran = Timing & { printed: string }

/** One subject's repository of one round. */
export interface Bench {
  subject: Subject
  /** Everything of it lies below. */
  home: string
  dir: string
  /** What it did so far, by operation. */
  done: Map<string, Timing>
  run(...args: string[]): Promise<Ran>
  /** A clone with nothing in its cache. */
  clone(): Bench
  commit(): void
  /** Moves something out of the way: deleting makes creating slow for minutes. Nothing happens when it is not there. */
  discard(relative: string): void
  /** Makes the tool forget what it remembers about its repository and its remote; the cache's objects stay. */
  forget(): void
}

/** Prepares a repository with a remote, before any data is in it. Also the tool's warm-up: it starts here for the first time. */
export async function openBench(machine: Machine, subject: Subject, base: string, label: string): Promise<Bench> {
  const home = mkdtempSync(path.join(base, `${subject.tool}-`))
  const dir = path.join(home, 'repo')
  mkdirSync(dir)
  if (subject.tool === 'restic') return openResticBench(machine, subject, home, dir, label)
  const bench = benchAt(machine, subject, home, dir, ownHome(home))
  git(dir, 'init', '-q', '-b', 'main')
  await bench.run('init', '-q')
  await bench.run('config', 'cache.type', 'copy')
  for (const args of (await subject.place?.open(label)) ?? []) await bench.run('remote', ...args)
  bench.commit()
  return bench
}

/** A repository that `place` puts into the folder, whole. */
export async function openProject(
  machine: Machine,
  subject: Subject,
  base: string,
  place: (dir: string) => Promise<unknown>,
): Promise<Bench> {
  const home = mkdtempSync(path.join(base, `${subject.tool}-`))
  const dir = path.join(home, 'repo')
  await place(dir)
  return benchAt(machine, subject, home, dir, ownHome(home))
}

const ownHome = (home: string): Record<string, string> => ({
  HOME: home,
  XDG_CONFIG_HOME: path.join(home, '.config'),
  DVC_NO_ANALYTICS: '1',
})

async function openResticBench(machine: Machine, subject: Subject, home: string, dir: string, label: string): Promise<Bench> {
  const { bucket } = subject
  const bench = benchAt(machine, subject, home, dir, {
    HOME: home,
    RESTIC_REPOSITORY: bucket
      ? `s3:${bucket.endpoint}/${bucket.bucket}/restic/${label}-${unique()}`
      : path.join(home, 'repository'),
    RESTIC_PASSWORD: 'bench',
    RESTIC_CACHE_DIR: path.join(home, 'cache'),
    ...(bucket && { AWS_ACCESS_KEY_ID: bucket.accessKey, AWS_SECRET_ACCESS_KEY: bucket.secretKey }),
  })
  await bench.run('init', '-q')
  return bench
}

function benchAt(machine: Machine, subject: Subject, home: string, dir: string, own: Record<string, string>): Bench {
  const env = { ...cleanEnv(), ...own, DVC_SITE_CACHE_DIR: `${dir}.site` }
  const bench: Bench = {
    subject,
    home,
    dir,
    done: new Map(),
    run: (...args) => machine.run({ file: subject.file, args, cwd: dir, env }),
    clone() {
      const other = path.join(home, `clone-${unique()}`)
      if (subject.tool === 'restic') mkdirSync(other)
      else git(home, 'clone', '-q', dir, other)
      // What each person sets up once: the remote's secret.
      const local = path.join(dir, '.dvc/config.local')
      if (existsSync(local)) copyFileSync(local, path.join(other, '.dvc/config.local'))
      return benchAt(machine, subject, home, other, own)
    },
    commit() {
      git(dir, 'add', '-A')
      git(dir, 'commit', '-qm', 'change', '--allow-empty')
    },
    discard: (relative) => moveAside(home, path.join(dir, relative)),
    forget() {
      if (subject.tool === 'restic') return
      moveAside(home, `${dir}.site`)
      moveAside(home, path.join(dir, '.dvc/tmp'))
    },
  }
  return bench
}

/** Refuses whatever is not the bench's own: a path that was put together wrongly must not cost anybody their files. */
function moveAside(home: string, file: string): void {
  if (!file.startsWith(home + path.sep) || file !== path.normalize(file)) throw new Error(`${file} is not below ${home}`)
  if (existsSync(file)) renameSync(file, path.join(home, `trash-${unique()}`))
}

/**
 * Of a person with nothing configured. Python may keep what it compiled: without that, dvc would pay for it at each start.
 */
function cleanEnv(): NodeJS.ProcessEnv {
  const { CAIRN_TOKEN: _token, CAIRN_URL: _url, PYTHONDONTWRITEBYTECODE: _dont, ...inherited } = process.env
  return { ...inherited, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CEILING_DIRECTORIES: os.tmpdir() }
}

function git(cwd: string, ...args: string[]): void {
  const identity = ['-c', 'user.name=Bench', '-c', 'user.email=bench@example.org', '-c', 'gc.auto=0']
  execFileSync('git', [...identity, ...args], { cwd, env: cleanEnv(), stdio: ['ignore', 'ignore', 'pipe'] })
}
