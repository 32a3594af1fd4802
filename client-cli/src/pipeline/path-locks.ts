import { readFileSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { withFileLock } from '../repo/repo-lock.ts'
import type { Repo } from '../repo/repo.ts'
import type { Report } from '../report/event.ts'
import { overlaps } from './stage-path.ts'
import type { UsedPaths } from './used-paths.ts'

/**
 * Which paths running commands read and write. While a stage's command runs the repository is not locked, so that others
 * may work in it; these entries keep them off its deps and outs. dvc reads and writes the same file, `.dvc/tmp/rwlock`.
 */
export interface PathLocks {
  /** @throws CairnError LOCKED when a living process writes one of `reads`, or uses one of `writes`. Root-relative paths. */
  refuseBusy(paths: UsedPaths): Promise<void>
  /** As `refuseBusy`, and enters the paths. Release exactly once, also after an interruption. */
  acquire(paths: UsedPaths): Promise<() => Promise<void>>
}

interface Holder {
  pid: number
  cmd: string
}

interface Table {
  write: Map<string, Holder>
  read: Map<string, Holder[]>
}

/** Releasing waits no longer than this for another process to leave the file; then the entry dies with our process. */
const RELEASE_MS = 10_000

/** `cmd` is what others are told holds the path. */
export function openPathLocks(repo: Repo, options: { cmd: string; signal: AbortSignal; report: Report }): PathLocks {
  const file = path.join(repo.tmpDir, 'rwlock')
  const me: Holder = { pid: process.pid, cmd: options.cmd }
  const edit = (signal: AbortSignal, change: (table: Table) => void) =>
    withFileLock(`${file}.lock`, signal, async () => {
      const table = readTable(file)
      change(table)
      writeFileAtomic(file, serializeTable(table))
    })
  const absolute = ({ reads, writes }: UsedPaths): UsedPaths => ({
    reads: reads.map((one) => path.resolve(repo.root, one)),
    writes: writes.map((one) => path.resolve(repo.root, one)),
  })
  const check = (table: Table, paths: UsedPaths) => {
    for (const gone of dropDead(table)) {
      options.report({
        type: 'warning',
        text: `Process '${gone.cmd}' with (Pid ${gone.pid}), in RWLock-file '${gone.path}' had been killed. Auto removed it from the lock file.`,
      })
    }
    refuse(file, table, paths, me.pid)
  }

  return {
    async refuseBusy(paths) {
      // Nearly always nobody runs anything, and then a look without the guard is enough: an empty table cannot be half written.
      const seen = tryReadTable(file)
      if (seen && seen.write.size === 0 && seen.read.size === 0) return
      await edit(options.signal, (table) => check(table, absolute(paths)))
    },
    async acquire(paths) {
      const used = absolute(paths)
      await edit(options.signal, (table) => {
        check(table, used)
        for (const one of used.writes) table.write.set(one, me)
        for (const one of used.reads) table.read.set(one, [...(table.read.get(one) ?? []), me])
      })
      return () => edit(AbortSignal.timeout(RELEASE_MS), (table) => release(table, used, me.pid))
    },
  }
}

function release(table: Table, { reads, writes }: UsedPaths, pid: number): void {
  for (const one of writes) if (table.write.get(one)?.pid === pid) table.write.delete(one)
  for (const one of reads) {
    const holders = table.read.get(one) ?? []
    // One entry for each release: another stage of this process may read the same path.
    const mine = holders.findIndex((holder) => holder.pid === pid)
    const others = holders.filter((_, place) => place !== mine)
    if (others.length > 0) table.read.set(one, others)
    else table.read.delete(one)
  }
}

function refuse(file: string, table: Table, { reads, writes }: UsedPaths, pid: number): void {
  const writers = [...table.write].map(([one, holder]) => ({ path: one, holders: [holder] }))
  const readers = [...table.read].map(([one, holders]) => ({ path: one, holders }))
  const inTheWay = (wanted: string, users: typeof readers) =>
    users.filter((user) => overlaps(wanted, user.path)).flatMap((user) => user.holders.filter((holder) => holder.pid !== pid))
  const questions = [
    ...reads.map((one) => ({ wanted: one, users: writers })),
    ...writes.map((one) => ({ wanted: one, users: [...writers, ...readers] })),
  ]
  for (const { wanted, users } of questions) {
    const blockers = inTheWay(wanted, users)
    if (blockers.length > 0) throw busy(file, wanted, blockers)
  }
}

function busy(file: string, wanted: string, blockers: readonly Holder[]): CairnError {
  const list = blockers.map((holder) => `  (PID ${holder.pid}): ${holder.cmd}`).join('\n')
  return new CairnError('LOCKED', `'${wanted}' is busy, it is being blocked by:\n${list}`, {
    hint: `If there are no processes with such PIDs, you can manually remove '${file}' and try again.`,
  })
}

function dropDead(table: Table): Array<Holder & { path: string }> {
  const dead: Array<Holder & { path: string }> = []
  const isDead = (location: string) => (holder: Holder) => {
    if (isAlive(holder.pid)) return false
    dead.push({ ...holder, path: location })
    return true
  }
  for (const [location, holder] of table.write) if (isDead(location)(holder)) table.write.delete(location)
  for (const [location, holders] of table.read) {
    const living = holders.filter((holder) => !isDead(location)(holder))
    if (living.length > 0) table.read.set(location, living)
    else table.read.delete(location)
  }
  return dead
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

function tryReadTable(file: string): Table | undefined {
  try {
    return readTable(file)
  } catch (error) {
    if (isCode(error, 'FAILED')) return undefined
    throw error
  }
}

function readTable(file: string): Table {
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if (isCode(error, 'ENOENT')) return { write: new Map(), read: new Map() }
    if (error instanceof SyntaxError) throw damaged(file, error)
    throw error
  }
  const { write = {}, read = {} } = parsed as { write?: Record<string, unknown>; read?: Record<string, unknown> }
  try {
    return {
      write: new Map(Object.entries(write).map(([location, holder]) => [location, holderOf(holder)])),
      read: new Map(Object.entries(read).map(([location, holders]) => [location, (holders as unknown[]).map(holderOf)])),
    }
  } catch (error) {
    throw damaged(file, error)
  }
}

function holderOf(value: unknown): Holder {
  const { pid, cmd } = value as Partial<Holder>
  if (!Number.isInteger(pid) || typeof cmd !== 'string') throw new TypeError('expected a pid and a cmd')
  return { pid: pid as number, cmd }
}

const damaged = (file: string, cause: unknown): CairnError =>
  new CairnError('FAILED', `Unable to read RWLock-file '${file}'. JSON structure is corrupted`, {
    cause,
    hint: 'Remove the file when no cairn or dvc runs in this repository.',
  })

const serializeTable = ({ write, read }: Table): string =>
  JSON.stringify({
    ...(write.size > 0 && { write: Object.fromEntries(write) }),
    ...(read.size > 0 && { read: Object.fromEntries(read) }),
  })
