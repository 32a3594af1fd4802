import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { statSync, type Stats } from 'node:fs'
import { readSmall } from '../cache/copy-file.ts'
import { lstatOrNone, statOrNone } from '../cache/file-stat.ts'
import { md5OfBytes } from '../cache/md5.ts'
import type { Report } from '../report/event.ts'
import { absolutePath, type Desk, ignoreFor, keyOf, workspacePath } from './desk.ts'
import { hashAll } from './hash-pool.ts'
import { createPace } from './pace.ts'
import {
  absoluteOf,
  emptyScan,
  entriesOf,
  explainUnreadable,
  EXECUTABLE,
  flagsOf,
  isSameObject,
  type Scan,
  scanFolder,
} from './scan.ts'
import { treeOfScan } from './tree-of-scan.ts'
import { cannotTrack, kindOf } from './walk.ts'
import type { Content, ContentOptions } from './workspace.ts'

/** Looks at a path: its files' stats, and which of their digests are known already. undefined when nothing stands there. */
export async function scanPath(
  desk: Desk,
  file: string,
  options: ContentOptions & { tolerant?: boolean },
): Promise<Scan | undefined> {
  const relative = workspacePath(desk, file)
  const absolute = absolutePath(desk, file)
  const stat = lstatOrNone(absolute)
  if (!stat) return undefined
  const target = stat.isSymbolicLink() ? statOrThrow(absolute) : stat
  if (target.isDirectory()) return scanTree(desk, relative, absolute, { ...options, ino: target.ino })
  if (!target.isFile()) throw cannotTrack(absolute, kindOf(target))
  return scanSingle(desk, relative, absolute, target, stat.isSymbolicLink(), options)
}

function statOrThrow(absolute: string): Stats {
  try {
    return statSync(absolute)
  } catch (cause) {
    throw new CairnError('COMMAND_FAILED', `'${absolute}' is a broken symlink and cannot be tracked`, {
      cause,
      hint: 'Restore its target or remove the link.',
    })
  }
}

async function scanTree(
  desk: Desk,
  relative: string,
  absolute: string,
  options: ContentOptions & { tolerant?: boolean; ino: number },
): Promise<Scan> {
  const legacy = options.legacy ?? false
  return scanFolder(absolute, {
    signal: desk.signal,
    ignore: ignoreFor(desk, relative),
    prefix: relative,
    legacy,
    known: desk.tables.load(keyOf(relative, legacy, options.ino)),
    cache: desk.cache,
    tolerant: options.tolerant ?? false,
  })
}

function scanSingle(
  desk: Desk,
  relative: string,
  absolute: string,
  stat: Stats,
  viaLink: boolean,
  options: ContentOptions,
): Scan {
  const legacy = options.legacy ?? false
  const scan = emptyScan(absolute, legacy, 1)
  scan.rows.add('', stat)
  scan.flags.push(flagsOf(stat, viaLink))
  scan.device = stat.dev
  scan.bytes = stat.size
  const known = desk.singles.find(relative, legacy, stat)
  const candidates = [options.previous, desk.singles.last(relative, legacy)]
  const digest =
    known ??
    candidates.find((each) => each !== undefined && !each.endsWith('.dir') && isSameObject(desk.cache, each, stat, viaLink))
  if (digest) scan.rows.setMd5(0, digest.replace('legacy-', ''))
  else scan.unknown.push(0)
  return scan
}

export async function contentOf(desk: Desk, file: string, options: ContentOptions = {}): Promise<Content | undefined> {
  const scan = await scanPath(desk, file, options)
  if (!scan) return undefined
  await hashUnknown(desk, scan)
  const content = await contentOfScan(desk, scan)
  recordScan(desk, file, scan, content.digest)
  return content
}

/** Below this a file is read whole, in one go; above, in chunks and perhaps on another core. */
export const SMALL_BYTES = 1 << 20

/** Fills in the digests that are not known, by reading. */
export async function hashUnknown(desk: Desk, scan: Scan): Promise<void> {
  const large: number[] = []
  const pace = createPace(desk.signal)
  const progress = startProgress(desk.report, 'Hashing', scan)
  for (const row of scan.unknown) {
    const waiting = pace()
    if (waiting) await waiting
    const readAt = Date.now()
    const bytes = readRow(scan, row)
    if (bytes === undefined) large.push(row)
    else {
      scan.rows.setMd5(row, md5OfBytes(bytes, { legacy: scan.legacy }))
      settleRow(desk, scan, row, readAt, bytes.length)
      progress.step(1)
    }
  }
  await hashLarge(desk, scan, large, progress)
  progress.end()
  scan.unknown.length = 0
}

async function hashLarge(desk: Desk, scan: Scan, rows: readonly number[], progress: Progress): Promise<void> {
  if (rows.length === 0) return
  const readAt = Date.now()
  const jobs = rows.map((row) => ({ path: absoluteOf(scan, row), legacy: scan.legacy, size: scan.rows.stat(row).size }))
  try {
    await hashAll(jobs, {
      signal: desk.signal,
      onBytes: progress.bytes,
      onHashed(index, md5) {
        const row = rows[index] ?? 0
        scan.rows.setMd5(row, md5)
        settleRow(desk, scan, row, readAt, statSync(absoluteOf(scan, row), { throwIfNoEntry: false })?.size ?? 0)
        progress.step(1)
      },
    })
  } catch (error) {
    throw explainUnreadable(error)
  }
}

/** The row's bytes; undefined when they are many. @throws CairnError when they cannot be read */
export function readRow(scan: Scan, row: number): Buffer | undefined {
  const file = absoluteOf(scan, row)
  try {
    return readSmall(file, { limit: SMALL_BYTES, size: scan.rows.size(row) })
  } catch (error) {
    if (isCode(error, 'ENOENT'))
      throw new CairnError('FAILED', `'${file}' vanished while it was being read`, { cause: error, exit: 1 })
    throw explainUnreadable(error)
  }
}

/** A row may only vouch for its file later when a change since `readAt` would show. */
export function settleRow(desk: Desk, scan: Scan, row: number, readAt: number, size: number): void {
  const stat = scan.rows.stat(row)
  if (!desk.timestamps().settled(stat, scan.otherDevices.get(row) ?? scan.device, readAt)) scan.rows.distrust(row)
  if (size === stat.size) return
  scan.rows.setStat(row, { ...stat, mtimeMs: Number.NaN, size })
  scan.bytes += size - stat.size
}

/** Needs every digest. A folder's tree may be known; the list of its entries is made only when someone asks for it. */
export async function contentOfScan(desk: Desk, scan: Scan, tree?: Digest): Promise<Content> {
  const { rows, legacy, bytes } = scan
  if (isSingle(scan)) {
    const digest = makeDigest(rows.md5(0), { legacy })
    return { digest, size: bytes, ...(((scan.flags[0] ?? 0) & EXECUTABLE) !== 0 && { isexec: true as const }) }
  }
  let entries: ReturnType<typeof entriesOf> | undefined
  const listed = () => (entries ??= entriesOf(rows, legacy))
  return {
    digest: tree ?? (await treeOfScan(desk, scan)),
    size: bytes,
    nfiles: rows.count,
    rows,
    get entries() {
      return listed()
    },
  }
}

export const isSingle = (scan: Scan): boolean => scan.rows.count === 1 && scan.rows.path(0) === ''

/** Remembers the rows for the next question. */
export function recordScan(desk: Desk, file: string, scan: Scan, digest: Digest): void {
  const relative = workspacePath(desk, file)
  if (isSingle(scan)) {
    const stat = scan.rows.stat(0)
    if (!Number.isNaN(stat.mtimeMs)) desk.singles.set(relative, digest, scan.legacy, stat)
    return
  }
  const folder = scan.unchanged ? undefined : statOrNone(scan.root)
  if (folder) desk.tables.save(keyOf(relative, scan.legacy, folder.ino), scan.rows.table(digest, scan.bytes))
}

export interface Progress {
  step(files: number): void
  bytes(count: number): void
  end(): void
}

const REPORT_EVERY_MS = 100

/** Counts bytes when there are many, else files; silent for what is done in no time. */
export function startProgress(report: Report, task: string, scan: Pick<Scan, 'unknown' | 'rows'>): Progress {
  const total = scan.unknown.reduce((sum, row) => sum + scan.rows.size(row), 0)
  const unit = total > 256 << 20 ? 'bytes' : 'files'
  const worthIt = unit === 'bytes' || scan.unknown.length > 5_000
  let done = 0
  let told = 0
  const tell = () => {
    if (!worthIt || Math.abs(Date.now() - told) < REPORT_EVERY_MS) return
    told = Date.now()
    report({ type: 'progress', task, done, total: unit === 'bytes' ? total : scan.unknown.length, unit })
  }
  return {
    step(files) {
      if (unit === 'files') done += files
      tell()
    },
    bytes(count) {
      if (unit === 'bytes') done += count
      tell()
    },
    end() {
      if (worthIt && told > 0) report({ type: 'progress-end', task })
    },
  }
}
