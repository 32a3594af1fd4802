import { CairnError } from '@cairn/protocol/error'
import { lstatSync, readlinkSync, rmSync, statSync, type Stats } from 'node:fs'
import path from 'node:path'
import { rowMatches } from '../cache/stat-cache.ts'
import type { LinkType } from '../repo/repo.ts'
import type { Desk } from './desk.ts'
import { draftFor, replaceFile } from './drafts.ts'
import { materialize } from './link.ts'
import { createPace } from './pace.ts'
import { absoluteOf, digestOf, EXECUTABLE, LINK, MANY_NAMES, READ_ONLY, type Scan } from './scan.ts'

/**
 * Makes the workspace's files links of the wanted type; those that are it already keep their inode. Rows whose object is
 * not in the cache are left alone. Rows with a 1 in `fresh` were stored a moment ago, which may have changed their stat.
 */
export async function relinkRows(desk: Desk, scan: Scan, link: LinkType, fresh?: Uint8Array): Promise<void> {
  const pace = createPace(desk.signal)
  const unchanged = scan.unchanged
  for (let row = 0; row < scan.rows.count; row++) {
    const flags = scan.flags[row] ?? 0
    if (!mayDiffer(flags, link, fresh?.[row] === 1)) continue
    const waiting = pace()
    if (waiting) await waiting
    if (!desk.cache.isSound(digestOf(scan, row))) continue
    if (isLinkedAs(desk, scan, row, link)) restat(scan, row)
    else await relinkRow(desk, scan, row, link)
    if (unchanged && !rowMatches(unchanged, row, scan.rows.stat(row))) scan.unchanged = undefined
  }
}

/** Decides by what the walk saw, without another call. */
function mayDiffer(flags: number, link: LinkType, fresh: boolean): boolean {
  if (link === 'symlink') return true
  if ((flags & LINK) !== 0) return true
  const hardlinked = (flags & MANY_NAMES) !== 0 && (flags & READ_ONLY) !== 0
  if (link !== 'hardlink' || (flags & EXECUTABLE) !== 0) return hardlinked
  return fresh || !hardlinked
}

function isLinkedAs(desk: Desk, scan: Scan, row: number, link: LinkType): boolean {
  const file = absoluteOf(scan, row)
  const stat = lstatSync(file, { throwIfNoEntry: false })
  if (!stat) throw changed(file)
  const object = desk.cache.pathOf(digestOf(scan, row))
  if (stat.isSymbolicLink()) return link === 'symlink' && path.resolve(path.dirname(file), readlinkSync(file)) === object
  const shared = desk.cache.soundStat(digestOf(scan, row))?.ino === stat.ino
  return link === 'hardlink' && ((scan.flags[row] ?? 0) & EXECUTABLE) === 0 ? shared : link !== 'symlink' && !shared
}

/** Replaces a row's file by a link to (or a copy of) its object, which is sound. @throws CairnError FAILED when someone changed it meanwhile */
async function relinkRow(desk: Desk, scan: Scan, row: number, link: LinkType): Promise<void> {
  const file = absoluteOf(scan, row)
  const isexec = ((scan.flags[row] ?? 0) & EXECUTABLE) !== 0
  const draft = draftFor(desk, path.dirname(file))
  await materialize(desk, digestOf(scan, row), draft, link, { isexec })
  const now = statSync(file, { throwIfNoEntry: false })
  if (!now || !sameContent(now, scan, row)) {
    rmSync(draft, { force: true })
    throw changed(file)
  }
  replaceFile(draft, file)
  recordPlaced(desk, scan, row)
}

function sameContent(now: Stats, scan: Scan, row: number): boolean {
  const before = scan.rows.stat(row)
  return now.size === before.size && (Number.isNaN(before.mtimeMs) || (now.mtimeMs === before.mtimeMs && now.ino === before.ino))
}

/** Takes the stat of a file that Cairn has just put there; its content is the row's. */
export function recordPlaced(desk: Desk, scan: Scan, row: number): void {
  const stat = statSync(absoluteOf(scan, row))
  scan.rows.setStat(row, stat)
  if (!desk.timestamps().settled(stat, stat.dev, Date.now())) scan.rows.distrust(row)
}

/** What a row's file is after Cairn itself changed its links or mode; its bytes are those that the row has. */
export function restat(scan: Scan, row: number): void {
  const before = scan.rows.stat(row)
  const now = statSync(absoluteOf(scan, row), { throwIfNoEntry: false })
  if (!now) return
  if (now.mtimeMs === before.mtimeMs && now.size === before.size && now.ino === before.ino) scan.rows.setStat(row, now)
  else scan.rows.distrust(row)
}

const changed = (file: string) =>
  new CairnError('FAILED', `'${file}' changed while it was being linked`, {
    hint: 'Wait until nothing writes to it, then run the command again.',
    exit: 1,
  })
