import { CairnError } from '@cairn/protocol/error'
import { statSync } from 'node:fs'
import path from 'node:path'
import { md5OfBytes } from '../cache/md5.ts'
import { rowMd5 } from '../cache/stat-cache.ts'
import { explainFull } from '../io/full-disk.ts'
import type { LinkType } from '../repo/repo.ts'
import { absolutePath, type Desk } from './desk.ts'
import {
  contentOfScan,
  hashUnknown,
  isSingle,
  type Progress,
  readRow,
  recordScan,
  scanPath,
  settleRow,
  startProgress,
} from './digest-path.ts'
import { hashAll } from './hash-pool.ts'
import { chooseLink } from './link.ts'
import { createPace } from './pace.ts'
import { relinkRows, restat } from './relink.ts'
import { absoluteOf, digestOf, EXECUTABLE, explainUnreadable, LINK, MANY_NAMES, type Scan } from './scan.ts'
import { storeTreeOfScan } from './tree-of-scan.ts'
import type { Content, SaveOptions } from './workspace.ts'

/** Stores what stands at a path. See `Workspace.save`. */
export async function save(desk: Desk, file: string, options: SaveOptions): Promise<Content> {
  const scan = await scanPath(desk, file, options)
  if (!scan)
    throw new CairnError(
      'COMMAND_FAILED',
      `output '${file}' does not exist: No such file or directory: '${absolutePath(desk, file)}'`,
    )
  for (const link of scan.folderLinks) {
    desk.report({
      type: 'warning',
      text: `'${file}/${link}' is a symlink to a folder: neither it nor what is behind it is recorded`,
    })
  }
  if (!options.cache) await hashUnknown(desk, scan)
  else {
    const link = chooseLink(desk, options.kind, isSingle(scan) ? path.dirname(scan.root) : scan.root)
    const fresh = bitmapOf(scan.unknown, scan.rows.count)
    const held = scan.unknown.length === scan.rows.count || isKnownHeld(desk, scan)
    await storeUnknown(desk, scan, link)
    if (!held) storeMissing(desk, scan, link, fresh)
    if (options.relink ?? true) await relinkRows(desk, scan, link, fresh)
    else for (let row = 0; row < fresh.length; row++) if (fresh[row] === 1) restat(scan, row)
  }
  const tree = options.cache && !isSingle(scan) ? await storeTreeOfScan(desk, scan) : undefined
  const content = await contentOfScan(desk, scan, tree)
  recordScan(desk, file, scan, content.digest)
  return content
}

function bitmapOf(rows: readonly number[], count: number): Uint8Array {
  const bitmap = new Uint8Array(count)
  for (const row of rows) bitmap[row] = 1
  return bitmap
}

/**
 * The object is made from the workspace's file itself where files are hard links anyway; not when it has other names (they
 * would become read-only), is a symlink, or must stay executable.
 */
function wayIn(link: LinkType, flags: number): 'hardlink' | 'reflink' | 'copy' {
  if (link === 'reflink') return 'reflink'
  return link === 'hardlink' && (flags & (EXECUTABLE | LINK | MANY_NAMES)) === 0 ? 'hardlink' : 'copy'
}

/** Reads every file that is not known, once: its bytes are hashed and stored in the same go. */
async function storeUnknown(desk: Desk, scan: Scan, link: LinkType): Promise<void> {
  const large: number[] = []
  const pace = createPace(desk.signal)
  const progress = startProgress(desk.report, 'Adding', scan)
  for (const row of scan.unknown) {
    const waiting = pace()
    if (waiting) await waiting
    const readAt = Date.now()
    const bytes = readRow(scan, row)
    if (bytes === undefined) {
      large.push(row)
      continue
    }
    scan.rows.setMd5(row, md5OfBytes(bytes, { legacy: scan.legacy }))
    const digest = digestOf(scan, row)
    const known = scan.rows.stat(row)
    settleRow(desk, scan, row, readAt, bytes.length)
    if (!desk.cache.isSound(digest)) {
      if (wayIn(link, scan.flags[row] ?? 0) === 'hardlink') desk.cache.storeFile(digest, absoluteOf(scan, row), 'hardlink', known)
      else desk.cache.put(digest, bytes)
    }
    progress.step(1)
  }
  await storeLarge(desk, scan, large, link, progress)
  progress.end()
  scan.unknown.length = 0
}

async function storeLarge(desk: Desk, scan: Scan, rows: readonly number[], link: LinkType, progress: Progress): Promise<void> {
  if (rows.length === 0) return
  const readAt = Date.now()
  const jobs = rows.map((row) => {
    const copyTo = wayIn(link, scan.flags[row] ?? 0) === 'copy' ? { copyTo: desk.cache.draft() } : {}
    return { path: absoluteOf(scan, row), legacy: scan.legacy, size: scan.rows.stat(row).size, ...copyTo }
  })
  const drafts = new Set(jobs.flatMap((job) => job.copyTo ?? []))
  try {
    await hashAll(jobs, {
      signal: desk.signal,
      onBytes: progress.bytes,
      onHashed(index, md5) {
        const row = rows[index] ?? 0
        scan.rows.setMd5(row, md5)
        storeHashed(desk, scan, row, { draft: jobs[index]?.copyTo, link, readAt })
        drafts.delete(jobs[index]?.copyTo ?? '')
        progress.step(1)
      },
    })
  } catch (error) {
    throw explainFull(explainUnreadable(error), desk.cache.dir)
  } finally {
    for (const draft of drafts) desk.cache.discard(draft)
  }
}

function storeHashed(
  desk: Desk,
  scan: Scan,
  row: number,
  how: { draft: string | undefined; link: LinkType; readAt: number },
): void {
  const file = absoluteOf(scan, row)
  const digest = digestOf(scan, row)
  const known = scan.rows.stat(row)
  const now = statSync(file, { throwIfNoEntry: false })
  if (!now || now.mtimeMs !== known.mtimeMs || now.size !== known.size || now.ino !== known.ino) {
    if (how.draft !== undefined) desk.cache.discard(how.draft)
    throw new CairnError('FAILED', `'${file}' changed while it was being added`, {
      hint: 'Wait until nothing writes to it, then run the command again.',
      exit: 1,
    })
  }
  settleRow(desk, scan, row, how.readAt, known.size)
  if (desk.cache.isSound(digest)) {
    if (how.draft !== undefined) desk.cache.discard(how.draft)
  } else if (how.draft !== undefined) desk.cache.adopt(how.draft, digest)
  else desk.cache.storeFile(digest, file, wayIn(how.link, scan.flags[row] ?? 0), known)
}

/** Whether the cache has all files that did not change: it has when it has the tree that they were part of. */
function isKnownHeld(desk: Desk, { known }: Scan): boolean {
  if (known?.tree === undefined) return false
  return desk.cache.isComplete(known.tree, () => ({ count: known.paths.length, md5: (row) => rowMd5(known, row) }))
}

/** Files that did not change since they were hashed, but whose objects are not in the cache. */
function storeMissing(desk: Desk, scan: Scan, link: LinkType, fresh: Uint8Array): void {
  const digests = Array.from({ length: scan.rows.count }, (_, row) => digestOf(scan, row))
  const missing = new Set(desk.cache.missing(digests))
  for (const [row, digest] of missing.size === 0 ? [] : digests.entries()) {
    if (fresh[row] === 1 || !missing.delete(digest)) continue
    const known = scan.rows.stat(row)
    const trusted = Number.isNaN(known.mtimeMs) ? undefined : known
    desk.cache.storeFile(digest, absoluteOf(scan, row), wayIn(link, scan.flags[row] ?? 0), trusted)
  }
}
