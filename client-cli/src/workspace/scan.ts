import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { TreeEntry } from '@cairn/protocol/tree'
import type { Stats } from 'node:fs'
import path from 'node:path'
import type { ObjectCache } from '../cache/object-cache.ts'
import { createTableBuilder, rowMatches, rowMd5, type StatTable, type TableBuilder } from '../cache/stat-cache.ts'
import type { Ignore } from '../repo/ignore.ts'
import { walkFolder, cannotTrack } from './walk.ts'

/** The files below a folder (or one single file) as they stand, with what is already known of them. */
export interface Scan {
  /** Absolute; rows are relative to it. A single file is one row '' of itself. */
  root: string
  legacy: boolean
  rows: TableBuilder
  /** Rows whose md5 is not known. */
  unknown: number[]
  /** By row: ORed `LINK`, `EXECUTABLE`, `READ_ONLY`, `MANY_NAMES`. */
  flags: number[]
  /** Of nearly all files; `otherDevices` has those of the rows that lie elsewhere. */
  device: number
  otherDevices: Map<number, number>
  bytes: number
  folderLinks: string[]
  /** What stands there and is no content; only with `tolerant`. */
  odd: string[]
  /** The table that it was compared with. */
  known: StatTable | undefined
  /** The same, when every row of it is still true and nothing was added. */
  unchanged: StatTable | undefined
}

export const LINK = 1
export const EXECUTABLE = 2
export const READ_ONLY = 4
export const MANY_NAMES = 8

export interface ScanOptions {
  signal: AbortSignal
  ignore: Ignore | undefined
  /** Root-relative path of the folder, for `ignore`. */
  prefix: string
  legacy: boolean
  known: StatTable | undefined
  cache: ObjectCache
  /** What cannot be content is listed in `odd` instead of thrown. */
  tolerant?: boolean
}

export function flagsOf(stat: Stats, viaLink: boolean): number {
  return (
    (viaLink ? LINK : 0) |
    ((stat.mode & 0o111) === 0 ? 0 : EXECUTABLE) |
    ((stat.mode & 0o222) === 0 ? READ_ONLY : 0) |
    (stat.nlink > 1 ? MANY_NAMES : 0)
  )
}

export async function scanFolder(root: string, options: ScanOptions): Promise<Scan> {
  const { known, legacy } = options
  const scan = emptyScan(root, legacy, known?.paths.length)
  const findRow = createRowFinder(known)
  const copy = createCopier(scan.rows, known)
  let matched = 0
  try {
    await walkFolder(root, options, {
      file(relative, stat, viaLink) {
        const before = findRow(relative)
        // The table's own string, so that there are not two of each path.
        const row = scan.rows.add((before !== undefined && known?.paths[before]) || relative, stat)
        scan.flags.push(flagsOf(stat, viaLink))
        if (row === 0) scan.device = stat.dev
        else if (stat.dev !== scan.device) scan.otherDevices.set(row, stat.dev)
        scan.bytes += stat.size
        if (known && before !== undefined && rowMatches(known, before, stat)) {
          copy.row(before, row)
          matched++
        } else if (
          known &&
          before !== undefined &&
          isSameObject(options.cache, makeDigest(rowMd5(known, before), { legacy }), stat, viaLink)
        ) {
          copy.row(before, row)
        } else scan.unknown.push(row)
      },
      folderLink: (relative) => void scan.folderLinks.push(relative),
      odd(relative, problem) {
        if (!options.tolerant) throw cannotTrack(`${root}/${relative}`, problem)
        scan.odd.push(relative)
      },
    })
  } catch (error) {
    throw explainUnreadable(error)
  }
  copy.end()
  scan.known = known
  if (known && matched === scan.rows.count && matched === known.paths.length) scan.unchanged = known
  return scan
}

export function emptyScan(root: string, legacy: boolean, capacity = 256): Scan {
  return {
    root,
    legacy,
    rows: createTableBuilder(Math.max(16, capacity + 16)),
    unknown: [],
    flags: [],
    device: 0,
    otherDevices: new Map(),
    bytes: 0,
    folderLinks: [],
    odd: [],
    known: undefined,
    unchanged: undefined,
  }
}

/** The files come in the order of the table, so nearly every row is found by looking at the next one. */
function createRowFinder(known: StatTable | undefined): (file: string) => number | undefined {
  if (!known) return () => undefined
  let next = 0
  let rowOf: Map<string, number> | undefined
  return (file) => {
    if (known.paths[next] === file) return next++
    rowOf ??= new Map(known.paths.map((each, row) => [each, row]))
    const row = rowOf.get(file)
    if (row !== undefined) next = row + 1
    return row
  }
}

/** Copies md5s of the table, rows that follow each other in one go. */
function createCopier(
  rows: TableBuilder,
  known: StatTable | undefined,
): { row(before: number, after: number): void; end(): void } {
  let [from, to, count] = [0, 0, 0]
  const end = () => {
    if (known && count > 0) rows.copyMd5s(to, known, from, count)
    count = 0
  }
  return {
    row(before, after) {
      if (before !== from + count || after !== to + count) {
        end()
        from = before
        to = after
      }
      count++
    },
    end,
  }
}

/**
 * A hard link of a cached object changes its ctime whenever the object gets or loses another name. It is still that object
 * when it is the same inode and the object is sound.
 */
export function isSameObject(cache: ObjectCache, digest: Digest, stat: Stats, viaLink: boolean): boolean {
  if (stat.nlink < 2 && !viaLink) return false
  const object = cache.soundStat(digest)
  return object !== undefined && object.ino === stat.ino && object.dev === stat.dev
}

export const absoluteOf = (scan: Scan, row: number): string => {
  const relative = scan.rows.path(row)
  return relative === '' ? scan.root : `${scan.root}/${relative}`
}

// 16 bytes as hex are an md5 by construction: nothing to check, ten thousand times.
export const digestOf = ({ rows, legacy }: Pick<Scan, 'rows' | 'legacy'>, row: number): Digest =>
  (legacy ? `legacy-${rows.md5(row)}` : rows.md5(row)) as Digest

export function entriesOf(rows: TableBuilder, legacy: boolean): TreeEntry[] {
  return Array.from({ length: rows.count }, (_, row) => ({ path: rows.path(row), digest: digestOf({ rows, legacy }, row) }))
}

export function explainUnreadable(error: unknown): unknown {
  if (!isCode(error, 'EACCES', 'EPERM') || !(error instanceof Error)) return error
  const file = 'path' in error ? path.resolve(String(error.path)) : ''
  return new CairnError('COMMAND_FAILED', `cannot read '${file}': permission denied`, { cause: error })
}
