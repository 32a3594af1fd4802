import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync } from 'node:fs'
import path from 'node:path'
import { measure, type Sample } from './measure.ts'

/** Where a subject pushes to; a fresh, empty one for each round. */
export interface Place {
  name: string
  /** Sets up an empty remote and returns the commands that tell the tool about it, as arguments after `remote`. */
  open(label: string): Promise<Array<readonly string[]>>
}

export interface Subject {
  tool: 'cairn' | 'dvc'
  /** The program. */
  file: string
  place: Place
  env: Record<string, string>
}

export const nameOf = (subject: Subject): string => `${subject.tool} → ${subject.place.name}`

/** One subject's repository of one round. */
export interface Bench {
  dir: string
  timed(...args: string[]): Promise<Sample>
  /** A clone with nothing in its cache; its `timed` is the clone's. */
  clone(): Bench
  commit(): void
  /** Moves something out of the way: deleting makes creating slow for minutes. */
  discard(relative: string): void
}

/** Prepares a repository with a remote, before any data is in it. */
export async function openBench(subject: Subject, base: string, label: string): Promise<Bench> {
  const home = mkdtempSync(path.join(base, `${subject.tool}-`))
  const bench = benchAt(subject, home, path.join(home, 'repo'))
  mkdirSync(bench.dir)
  git(bench.dir, 'init', '-q', '-b', 'main')
  await bench.timed('init')
  for (const args of await subject.place.open(label)) await bench.timed('remote', ...args)
  git(bench.dir, 'add', '-A')
  git(bench.dir, 'commit', '-qm', 'start')
  return bench
}

function benchAt(subject: Subject, home: string, dir: string): Bench {
  const env = {
    ...process.env,
    ...subject.env,
    HOME: home,
    XDG_CONFIG_HOME: path.join(home, '.config'),
    DVC_SITE_CACHE_DIR: path.join(home, `site-${path.basename(dir)}`),
    DVC_NO_ANALYTICS: '1',
  }
  return {
    dir,
    timed: (...args) => measure({ file: subject.file, args, cwd: dir, env }),
    clone() {
      const other = path.join(home, 'clone')
      git(home, 'clone', '-q', dir, other)
      // What each person sets up once: the remote's secret.
      const local = path.join(dir, '.dvc/config.local')
      if (existsSync(local)) copyFileSync(local, path.join(other, '.dvc/config.local'))
      return benchAt(subject, home, other)
    },
    commit() {
      git(dir, 'add', '-A')
      git(dir, 'commit', '-qm', 'change')
    },
    discard: (relative) => renameSync(path.join(dir, relative), path.join(home, `trash-${Math.random().toString(36).slice(2)}`)),
  }
}

function git(cwd: string, ...args: string[]): void {
  const identity = ['-c', 'user.name=Bench', '-c', 'user.email=bench@example.org', '-c', 'gc.auto=0']
  execFileSync('git', [...identity, ...args], { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
}
