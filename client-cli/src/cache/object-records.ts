import { type Digest, kindOf, md5Of } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { appendFileSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { isUnwritable } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'
import type { FileStat } from './file-stat.ts'

/** The stats of cached objects at the moment their bytes were known to be right. */
export interface ObjectRecords {
  matches(digest: Digest, stat: FileStat): boolean
  set(digest: Digest, stat: FileStat): void
  /** Appends what is new to the file. Losing it costs time, never truth. */
  flush(): void
}

/** md5, kind, 7 unused bytes, then mtime, ctime, size, ino as doubles. */
const RECORD_BYTES = 56
const KEY_BYTES = 17
const STAT_OFFSET = 24
/** A file with more superseded records than this and than live ones is written anew. */
const COMPACT_ABOVE = 20_000

/** `file` need not exist. A torn or foreign file is harmless: no record of it will match. */
export function openObjectRecords(file: string): ObjectRecords {
  let records: Records | undefined
  const load = () => (records ??= createRecords(readRecords(file)))
  const probe = Buffer.alloc(RECORD_BYTES)
  return {
    matches(digest, stat) {
      const index = load().find(encode(probe, digest, stat))
      return index !== undefined && load().bytesOf(index).equals(probe)
    },
    set(digest, stat) {
      if (!this.matches(digest, stat)) load().put(probe)
    },
    flush() {
      if (!records?.isDirty()) return
      // Appends of two processes interleave by whole records; what a crash tears is recognised by its length.
      try {
        makeFolders(path.dirname(file))
        const whole = records.shouldCompact() || sizeOf(file) % RECORD_BYTES !== 0
        if (whole) writeFileAtomic(file, records.live())
        else appendFileSync(file, records.fresh())
        records.markClean()
      } catch (error) {
        if (!isUnwritable(error)) throw error
      }
    },
  }
}

function readRecords(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    if (isCode(error, 'ENOENT', 'EISDIR', 'EACCES')) return Buffer.alloc(0)
    throw error
  }
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

function encode(target: Buffer, digest: Digest, stat: FileStat): Buffer {
  target.write(md5Of(digest), 0, 16, 'hex')
  target[16] = kindOf(digest)
  target.writeDoubleLE(stat.mtimeMs, STAT_OFFSET)
  target.writeDoubleLE(stat.ctimeMs, STAT_OFFSET + 8)
  target.writeDoubleLE(stat.size, STAT_OFFSET + 16)
  target.writeDoubleLE(stat.ino, STAT_OFFSET + 24)
  return target
}

interface Records {
  find(key: Buffer): number | undefined
  bytesOf(index: number): Buffer
  put(record: Buffer): void
  isDirty(): boolean
  shouldCompact(): boolean
  live(): Buffer
  fresh(): Buffer
  markClean(): void
}

/** So many times a record is searched for; then the table is made that finds it at once. */
const SEARCHES = 16

/** Records in one buffer, found through an open-addressing table of record numbers: about 64 bytes an object. */
function createRecords(stored: Buffer): Records {
  let count = Math.floor(stored.length / RECORD_BYTES)
  let clean = count
  let unique = 0
  let buffer = stored
  let slots: Uint32Array = new Uint32Array(0)
  let searches = 0
  const at = (index: number) => buffer.subarray(index * RECORD_BYTES, (index + 1) * RECORD_BYTES)

  /** The slot of the key, or the free slot where it belongs. md5 is its own hash. */
  const slotOf = (key: Buffer, start = 0): number => {
    let slot = key.readUInt32LE(start) & (slots.length - 1)
    for (let held = slots[slot] ?? 0; held !== 0; held = slots[slot] ?? 0) {
      const offset = (held - 1) * RECORD_BYTES
      if (buffer.compare(key, start, start + KEY_BYTES, offset, offset + KEY_BYTES) === 0) return slot
      slot = (slot + 1) & (slots.length - 1)
    }
    return slot
  }
  const index = (record: number) => {
    const slot = slotOf(buffer, record * RECORD_BYTES)
    if (slots[slot] === 0) unique++
    slots[slot] = record + 1
  }
  const rebuild = () => {
    let size = 1024
    while (size < count * 4) size *= 2
    slots = new Uint32Array(size)
    unique = 0
    for (let record = 0; record < count; record++) index(record)
  }
  /** From the end: what was appended last counts. */
  const search = (key: Buffer): number | undefined => {
    const wanted = key.subarray(0, KEY_BYTES)
    let offset = buffer.lastIndexOf(wanted, count * RECORD_BYTES - RECORD_BYTES)
    while (offset > 0 && offset % RECORD_BYTES !== 0) offset = buffer.lastIndexOf(wanted, offset - 1)
    return offset < 0 || count === 0 ? undefined : offset / RECORD_BYTES
  }

  return {
    find(key) {
      if (slots.length === 0 && searches++ < SEARCHES) return search(key)
      if (slots.length === 0) rebuild()
      const held = slots[slotOf(key)] ?? 0
      return held === 0 ? undefined : held - 1
    },
    bytesOf: at,
    put(record) {
      if ((count + 1) * RECORD_BYTES > buffer.length) buffer = Buffer.concat([buffer], Math.max(64, count * 2) * RECORD_BYTES)
      record.copy(buffer, count * RECORD_BYTES)
      count++
      if (count * 2 > slots.length) slots = new Uint32Array(0)
      else index(count - 1)
    },
    isDirty: () => count > clean,
    shouldCompact() {
      if (count <= COMPACT_ABOVE) return false
      if (slots.length === 0) rebuild()
      return count - unique > Math.max(COMPACT_ABOVE, unique)
    },
    live() {
      if (slots.length === 0) rebuild()
      const kept: Buffer[] = []
      for (const held of slots) if (held !== 0) kept.push(at(held - 1))
      return Buffer.concat(kept)
    },
    fresh: () => buffer.subarray(clean * RECORD_BYTES, count * RECORD_BYTES),
    markClean() {
      clean = count
    },
  }
}
