import { type Digest, isTree, KIND_LEGACY, KIND_TREE, makeDigest, md5Of, readHex, writeHex } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs'
import path from 'node:path'
import { crc32 } from 'node:zlib'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { isUnwritable } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'
import type { FileStat } from './file-stat.ts'

/** What is known of the files below one folder, or of single files: for each the stat that its md5 was taken at. */
export interface StatTable {
  /** The name of the tree that exactly these files make; undefined for single files and when not all are known. */
  tree: Digest | undefined
  /** Sum of the sizes; only with `tree`. */
  bytes: number
  /** Relative to the folder (root-relative for single files), in the order of the walk. */
  paths: readonly string[]
  /** mtimeMs, ctimeMs, size, ino of each path, one after the other. */
  stats: Float64Array
  /** 16 bytes each. */
  md5s: Buffer
}

/**
 * One file a folder in `<dir>`, replaced as a whole: two writers at once leave the table of one of them. Anything that is
 * not exactly a table (torn, foreign, of another version) counts as absent.
 */
export interface StatCache {
  load(key: StatKey): StatTable | undefined
  save(key: StatKey, table: StatTable): void
  forget(key: StatKey): void
}

export interface StatKey {
  /** Root-relative or absolute path of the folder; '' for the table of single files. */
  path: string
  legacy: boolean
  /** The folder's inode, by which it is known again under another path. */
  folder?: number
}

const MAGIC = 0x43535432
/** magic, crc32 of the rest, count, kind, bytes (double), md5 of the tree, length of key and paths, the folder's inode (double). */
const HEADER_BYTES = 4 + 4 + 4 + 4 + 8 + 16 + 4 + 4 + 8
const PATHS_A_PIECE = 4_096
const FOLDER_OFFSET = HEADER_BYTES - 8
/** So many tables are looked through for a folder that was renamed. */
const MOST_LOOKED_AT = 1_000
const STAT_FIELDS = 4

export function openStatCache(dir: string): StatCache {
  const fileOf = ({ path: folder, legacy }: StatKey) => path.join(dir, nameOf(`${legacy ? 'legacy' : 'md5'}\0${folder}`))
  return {
    load: (key) => readTable(fileOf(key), key) ?? findRenamed(dir, key),
    save(key, table) {
      try {
        makeFolders(dir)
        writeFileAtomic(fileOf(key), tablePieces(key, table))
      } catch (error) {
        // Only speed is lost, and a status on a read-only or full disk must still answer.
        if (!isUnwritable(error)) throw error
      }
    },
    forget: (key) => rmSync(fileOf(key), { force: true }),
  }
}

function readTable(file: string, key: StatKey): StatTable | undefined {
  try {
    return decodeTable(readFileSync(file), key)
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES')) return undefined
    throw error
  }
}

/** The table that was made of the same folder under another name: its rows vouch for nothing but files of the same stat. */
function findRenamed(dir: string, { folder, legacy }: StatKey): StatTable | undefined {
  if (folder === undefined) return undefined
  const head = Buffer.alloc(HEADER_BYTES)
  for (const name of listNames(dir).slice(0, MOST_LOOKED_AT)) {
    const file = path.join(dir, name)
    if (!readHead(file, head) || head.readUInt32LE(0) !== MAGIC || head.readDoubleLE(FOLDER_OFFSET) !== folder) continue
    const table = readTable(file, { path: ANY_PATH, legacy })
    if (table) return table
  }
  return undefined
}

function listNames(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return []
    throw error
  }
}

/** False when there is less. */
function readHead(file: string, head: Buffer): boolean {
  try {
    const fd = openSync(file, 'r')
    try {
      return readSync(fd, head) === head.length
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (isCode(error, 'ENOENT', 'EISDIR', 'EACCES')) return false
    throw error
  }
}

/**
 * Two multiplicative hashes, as hex. Two folders that shared a name would only forget each other: the table holds its key.
 * Loading Node's crypto for it would be a tenth of a status.
 */
function nameOf(key: string): string {
  let [one, other] = [0x811c9dc5, 0x9e3779b9]
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at)
    one = Math.imul(one ^ unit, 0x01000193)
    other = Math.imul(other ^ unit, 0x85ebca6b) ^ (other >>> 13)
  }
  return [one, other].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
}

export const encodeTable = (key: StatKey, table: StatTable): Buffer => Buffer.concat(tablePieces(key, table))

/** The file's bytes; most of them are the table's own memory. */
function tablePieces(key: StatKey, table: StatTable): Buffer[] {
  const keyBytes = Buffer.from(key.path)
  const count = table.paths.length
  const statBytes = Buffer.from(table.stats.buffer, table.stats.byteOffset, count * STAT_FIELDS * 8)
  const pathPieces: Buffer[] = []
  for (let at = 0; at < count; at += PATHS_A_PIECE)
    pathPieces.push(Buffer.from((at === 0 ? '' : '\0') + table.paths.slice(at, at + PATHS_A_PIECE).join('\0')))
  const file = Buffer.alloc(HEADER_BYTES)
  file.writeUInt32LE(MAGIC, 0)
  file.writeUInt32LE(count, 8)
  file.writeUInt32LE((key.legacy ? KIND_LEGACY : 0) | (table.tree ? KIND_TREE : 0), 12)
  file.writeDoubleLE(table.bytes, 16)
  if (table.tree) writeHex(file, 24, md5Of(table.tree))
  file.writeDoubleLE(key.folder ?? Number.NaN, FOLDER_OFFSET)
  file.writeUInt32LE(keyBytes.length, 40)
  file.writeUInt32LE(
    pathPieces.reduce((sum, piece) => sum + piece.length, 0),
    44,
  )
  const rest = [statBytes, table.md5s.subarray(0, count * 16), keyBytes, ...pathPieces]
  file.writeUInt32LE(
    rest.reduce((sum, piece) => crc32(piece, sum), crc32(file.subarray(8))),
    4,
  )
  return [file, ...rest]
}

/** No path holds a NUL. */
const ANY_PATH = '\0'

/** undefined for anything but a whole table of this key. */
export function decodeTable(file: Buffer, key: StatKey): StatTable | undefined {
  if (file.length < HEADER_BYTES || file.readUInt32LE(0) !== MAGIC || file.readUInt32LE(4) !== crc32(file.subarray(8)))
    return undefined
  const count = file.readUInt32LE(8)
  const kind = file.readUInt32LE(12)
  const keyLength = file.readUInt32LE(40)
  const pathLength = file.readUInt32LE(44)
  const md5Start = HEADER_BYTES + count * STAT_FIELDS * 8
  const keyStart = md5Start + count * 16
  if (file.length !== keyStart + keyLength + pathLength) return undefined
  const legacy = (kind & KIND_LEGACY) !== 0
  const isOther = key.path !== ANY_PATH && file.toString('utf8', keyStart, keyStart + keyLength) !== key.path
  if (legacy !== key.legacy || isOther) return undefined
  const paths = count === 0 ? [] : file.toString('utf8', keyStart + keyLength).split('\0')
  if (paths.length !== count) return undefined
  const stats = statsIn(file, count)
  const tree = (kind & KIND_TREE) !== 0 ? makeDigest(readHex(file, 24), { tree: true, legacy }) : undefined
  return { tree, bytes: file.readDoubleLE(16), paths, stats, md5s: file.subarray(md5Start, keyStart) }
}

/** A view where the bytes lie as numbers must, as in every file of some size; else a copy. */
function statsIn(file: Buffer, count: number): Float64Array {
  const from = file.byteOffset + HEADER_BYTES
  if (from % 8 === 0) return new Float64Array(file.buffer, from, count * STAT_FIELDS)
  return new Float64Array(new Uint8Array(file.subarray(HEADER_BYTES, HEADER_BYTES + count * STAT_FIELDS * 8)).buffer)
}

/** True when row `index` was recorded for exactly this state of the file. A row of NaNs never matches. */
export function rowMatches(table: StatTable, index: number, stat: FileStat): boolean {
  const { stats } = table
  const at = index * STAT_FIELDS
  return stats[at] === stat.mtimeMs && stats[at + 1] === stat.ctimeMs && stats[at + 2] === stat.size && stats[at + 3] === stat.ino
}

export const rowMd5 = (table: StatTable, index: number): string => table.md5s.toString('hex', index * 16, index * 16 + 16)

/** Rows under construction. */
export interface TableBuilder {
  readonly count: number
  /** Adds a file whose md5 comes later. Returns its row. */
  add(path: string, stat: FileStat): number
  setMd5(row: number, hex: string): void
  /** Those of `count` rows of a table, from its row `first` on. */
  copyMd5s(row: number, table: StatTable, first: number, count: number): void
  setStat(row: number, stat: FileStat): void
  /** The row stays, but will not vouch for the file next time. */
  distrust(row: number): void
  path(row: number): string
  md5(row: number): string
  size(row: number): number
  stat(row: number): FileStat
  /** A view that later changes show through in; sizes are those of now. */
  table(tree: Digest | undefined, bytes: number): StatTable
}

export function createTableBuilder(capacity = 256): TableBuilder {
  const paths: string[] = []
  let stats = new Float64Array(capacity * STAT_FIELDS)
  let md5s = Buffer.alloc(capacity * 16)
  const grow = () => {
    const larger = new Float64Array(stats.length * 2)
    larger.set(stats)
    stats = larger
    md5s = Buffer.concat([md5s], md5s.length * 2)
  }
  const setStat = (row: number, stat: FileStat) => {
    const at = row * STAT_FIELDS
    stats[at] = stat.mtimeMs
    stats[at + 1] = stat.ctimeMs
    stats[at + 2] = stat.size
    stats[at + 3] = stat.ino
  }
  return {
    get count() {
      return paths.length
    },
    add(file, stat) {
      const row = paths.length
      if ((row + 1) * 16 > md5s.length) grow()
      paths.push(file)
      setStat(row, stat)
      return row
    },
    setMd5: (row, hex) => void md5s.write(hex, row * 16, 16, 'hex'),
    copyMd5s: (row, table, first, count) => void table.md5s.copy(md5s, row * 16, first * 16, (first + count) * 16),
    setStat,
    distrust(row) {
      stats[row * STAT_FIELDS] = Number.NaN
    },
    path: (row) => paths[row] ?? '',
    md5: (row) => md5s.toString('hex', row * 16, row * 16 + 16),
    size: (row) => stats[row * STAT_FIELDS + 2] ?? 0,
    stat(row) {
      const at = row * STAT_FIELDS
      return { mtimeMs: stats[at] ?? 0, ctimeMs: stats[at + 1] ?? 0, size: stats[at + 2] ?? 0, ino: stats[at + 3] ?? 0 }
    },
    table: (tree, bytes) => ({
      tree: tree && isTree(tree) ? tree : undefined,
      bytes,
      paths,
      stats: stats.subarray(0, paths.length * STAT_FIELDS),
      md5s: md5s.subarray(0, paths.length * 16),
    }),
  }
}
