import { closeSync, openSync, readSync } from 'node:fs'
import { type Digest, isLegacy, md5Of } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { createTreeReader, type TreeEntry } from '@cairn/protocol/tree'
import { createTreeScanner, type PassingEntry } from '@cairn/protocol/tree-scanner'
import { createMd5 } from './md5.ts'

/** Calls back with each entry, in the order of the bytes, before it is known that all of them are right. */
export type OnEntry = (entry: PassingEntry) => void

/** In pieces: a tree of a million entries is a hundred megabytes. */
const PIECE_BYTES = 256 * 1024

/** A tree's entries; undefined when its bytes do not hash to its name. @throws CairnError CACHE_MISSING, BAD_TREE */
export function readTreeFile(file: string, digest: Digest): TreeEntry[] | undefined {
  return passFile(file, digest, createTreeReader({ legacy: isLegacy(digest) }))
}

/** The same without holding the entries; false when the bytes do not hash to the name. */
export function scanTreeFile(file: string, digest: Digest, onEntry: OnEntry): boolean {
  return passFile(file, digest, createTreeScanner(onEntry)) !== undefined
}

function passFile<T>(file: string, digest: Digest, reader: { push(chunk: Uint8Array): void; end(): T }): T | undefined {
  const md5 = createMd5()
  let wrong: unknown
  for (const piece of readPieces(file, digest)) {
    md5.update(piece)
    // What is damaged is no tree either: the hash tells the two apart, at the end.
    if (wrong === undefined) wrong = failureOf(() => reader.push(piece))
  }
  if (md5.digest() !== md5Of(digest)) return undefined
  if (wrong !== undefined) throw wrong
  return reader.end()
}

function failureOf(work: () => void): unknown {
  try {
    work()
    return undefined
  } catch (error) {
    if (isCode(error, 'BAD_TREE')) return error
    throw error
  }
}

function* readPieces(file: string, digest: Digest): Generator<Uint8Array> {
  const fd = openOrMissing(file, digest)
  try {
    const buffer = Buffer.allocUnsafe(PIECE_BYTES)
    for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer)) yield buffer.subarray(0, read)
  } finally {
    closeSync(fd)
  }
}

function openOrMissing(file: string, digest: Digest): number {
  try {
    return openSync(file, 'r')
  } catch (error) {
    if (!isCode(error, 'ENOENT', 'ENOTDIR')) throw error
    throw new CairnError('CACHE_MISSING', `'${digest}' is not in the cache`, {
      hint: 'Fetch it first: cairn fetch',
      cause: error,
    })
  }
}
