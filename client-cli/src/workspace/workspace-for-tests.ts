import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Timestamps } from '../cache/file-stat.ts'
import type { Event } from '../report/event.ts'
import { openRepo } from '../repo/open.ts'
import { openWorkspace } from './open.ts'
import type { Workspace } from './workspace.ts'

/** A repository without Git in a folder of its own, and its workspace. */
export interface Bench {
  root: string
  workspace: Workspace
  events: Event[]
  write(file: string, text: string | Uint8Array): void
  read(file: string): string
  /** A new process: what is only in memory is gone. */
  reopen(): void
  /** Overwrites a cached object in place, as a bad disk or a careless person would, and restores its mtime. */
  corrupt(file: string): void
  remove(): void
}

export function createBench(options: { linkTypes?: string; dvcignore?: string; timestamps?: Timestamps } = {}): Bench {
  const root = mkdtempSync(path.join(os.tmpdir(), 'cairn-bench-'))
  mkdirSync(path.join(root, '.dvc'))
  writeFileSync(path.join(root, '.dvc/config'), options.linkTypes ? `[cache]\n    type = "${options.linkTypes}"\n` : '')
  if (options.dvcignore) writeFileSync(path.join(root, '.dvcignore'), options.dvcignore)
  const events: Event[] = []
  const env = { HOME: root, XDG_CONFIG_HOME: path.join(root, '.config'), XDG_CONFIG_DIRS: path.join(root, '.none') }
  const open = () =>
    openWorkspace(openRepo(root, env), {
      signal: new AbortController().signal,
      report: (event) => void events.push(event),
      timestamps: options.timestamps,
    })
  const bench: Bench = {
    root,
    workspace: open(),
    events,
    write(file, text) {
      mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
      writeFileSync(path.join(root, file), text)
    },
    read: (file) => readFileSync(path.join(root, file), 'utf8'),
    reopen() {
      bench.workspace.close()
      bench.workspace = open()
    },
    corrupt(file) {
      const bytes = readFileSync(file)
      chmodSync(file, 0o644)
      bytes[0] = (bytes[0] ?? 0) ^ 1
      writeFileSync(file, bytes)
      utimesSync(file, new Date('2020-01-01'), new Date('2020-01-01'))
      chmodSync(file, 0o444)
    },
    remove() {
      bench.workspace.close()
      rmSync(root, { recursive: true, force: true })
    },
  }
  return bench
}

export const ADDED = { kind: 'data', cache: true } as const
export const MADE = { kind: 'stage', cache: true } as const
export const PLAIN = { force: false, relink: false, removeStale: false } as const
