import { randomUUID } from 'node:crypto'
import { constants, type Dirent } from 'node:fs'
import { access, mkdir, open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { BlobStat, BlobStore, ByteRange, Bytes, PutOptions } from '../../domain/ports/blob-store.ts'
import { abortable } from './abortable.ts'
import { diskDrafts } from './disk-drafts.ts'
import { blocks, onDisk, storageError, syncFolder, syncFolders, unlinkIfThere, writeBlock } from './disk-files.ts'
import { assertKey } from './key.ts'

/** Read at once, without a stream. */
const SHORT_BYTES = 256 * 1024

/**
 * Blobs as files: `<dir>/blobs/<key>`. A key brings its own fan-out (`…/objects/ab/…`), so no folder grows without bound.
 * Uploads grow in `<dir>/unfinished/` and are renamed into place when they are durable.
 */
export function diskBlobStore(dir: string): BlobStore {
  const blobsDir = path.join(dir, 'blobs')
  const unfinishedDir = path.join(dir, 'unfinished')
  const fileOf = (key: string): string => {
    assertKey(key)
    return path.join(blobsDir, key)
  }

  return {
    async put(key, bytes, { signal, done }) {
      const target = fileOf(key)
      return await writeDurably(path.join(unfinishedDir, randomUUID()), target, abortable(bytes, signal), done)
    },

    async get(key, { range, signal }) {
      signal.throwIfAborted()
      const file = await openForReading(fileOf(key), key)
      const start = range?.start ?? 0
      const end = range?.end ?? Infinity
      if (end - start <= SHORT_BYTES) return await readShort(file, key, { start, end })
      return file.createReadStream({ start, end: end - 1, signal, highWaterMark: 256 * 1024 })
    },

    async stat(key) {
      return await statBlob(key, fileOf(key))
    },

    async delete(keys) {
      for (const key of keys) await onDisk(key, () => unlinkIfThere(fileOf(key)))
      // Without this, a power failure could bring back a blob that no row knows any more.
      const folders = new Set(keys.map((key) => path.dirname(fileOf(key))))
      for (const folder of folders) await onDisk(folder, () => syncFolder(folder))
    },

    async *list(prefix, signal) {
      const folder = path.join(blobsDir, prefix.slice(0, prefix.lastIndexOf('/') + 1))
      for await (const file of walk(folder, signal)) {
        const key = path.relative(blobsDir, file).split(path.sep).join('/')
        const found = key.startsWith(prefix) ? await statBlob(key, file) : undefined
        if (found) yield found
      }
    },

    ...diskDrafts(unfinishedDir, fileOf),

    async removeUnfinished(before, signal, standing) {
      let removed = 0
      for await (const file of walk(unfinishedDir, signal)) {
        if (standing?.has(path.basename(file))) continue
        const found = await statBlob(file, file)
        if (!found || found.modified >= before) continue
        await onDisk(file, () => unlinkIfThere(file))
        removed++
      }
      return removed
    },

    async check(signal) {
      signal.throwIfAborted()
      await onDisk(dir, async () => {
        await mkdir(unfinishedDir, { recursive: true })
        await access(unfinishedDir, constants.R_OK | constants.W_OK | constants.X_OK)
      })
    },
  }
}

/**
 * Writes a new file, renames it into place and syncs it and its folder; resolves with its size. Failures of the source pass
 * through as they are. The rename comes before the syncs, so that a journalling file system makes both durable in one go: a
 * name that a power failure leaves without its bytes was never acknowledged.
 */
async function writeDurably(unfinished: string, target: string, bytes: Bytes, done: PutOptions['done']): Promise<number> {
  let name = unfinished
  const file = await onDisk(target, () => createFile(unfinished))
  try {
    let size = 0
    for await (const block of blocks(bytes)) {
      await onDisk(target, () => writeBlock(file, block, size))
      if (done) block.chunks.forEach(done)
      size += block.length
    }
    const created = await onDisk(target, () => moveTo(unfinished, target))
    name = target
    await onDisk(target, () => file.datasync())
    await onDisk(target, () => syncFolders(path.dirname(target), created))
    return size
  } catch (error) {
    // A crash before this line leaves the file to removeUnfinished, or one that no row names.
    await unlink(name).catch(() => undefined)
    throw error
  } finally {
    await onDisk(target, () => file.close())
  }
}

async function createFile(target: string): Promise<FileHandle> {
  try {
    return await open(target, 'wx', 0o600)
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error
    await mkdir(path.dirname(target), { recursive: true, mode: 0o700 })
    return await open(target, 'wx', 0o600)
  }
}

/** Resolves with the first folder that had to be made for it. */
async function moveTo(from: string, to: string): Promise<string | undefined> {
  try {
    await rename(from, to)
    return undefined
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error
    const created = await mkdir(path.dirname(to), { recursive: true, mode: 0o700 })
    await rename(from, to)
    return created
  }
}

/** A stream over a file costs more than a small object is worth. Closes the file. */
async function readShort(file: FileHandle, key: string, { start, end }: ByteRange): Promise<Readable> {
  try {
    const bytes = Buffer.allocUnsafe(Math.max(0, end - start))
    let filled = 0
    for (let read = -1; filled < bytes.length && read !== 0; filled += read) {
      read = (await file.read(bytes, filled, bytes.length - filled, start + filled)).bytesRead
    }
    return streamOf(bytes.subarray(0, filled))
  } catch (error) {
    throw storageError(key, error)
  } finally {
    await file.close()
  }
}

function streamOf(bytes: Uint8Array): Readable {
  return new Readable({
    read() {
      if (bytes.length > 0) this.push(bytes)
      this.push(null)
    },
  })
}

async function openForReading(file: string, key: string): Promise<FileHandle> {
  try {
    return await open(file, 'r')
  } catch (error) {
    if (isCode(error, 'ENOENT')) throw new CairnError('NOT_FOUND', `${key}: no such blob`, { cause: error })
    throw storageError(key, error)
  }
}

async function statBlob(key: string, file: string): Promise<BlobStat | undefined> {
  try {
    const { size, mtime } = await stat(file)
    return { key, size, modified: mtime }
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw storageError(key, error)
  }
}

/** Files below a folder, depth first, in the order of their names. */
async function* walk(folder: string, signal: AbortSignal): AsyncGenerator<string, void> {
  signal.throwIfAborted()
  for (const entry of await entriesOf(folder)) {
    const child = path.join(folder, entry.name)
    if (entry.isDirectory()) yield* walk(child, signal)
    else yield child
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    if (isCode(error, 'ENOENT')) return []
    throw storageError(folder, error)
  }
}
