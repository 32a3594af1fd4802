import { mkdir, open, rename, unlink, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'

// A body arrives in chunks of 64 KiB at most, and one write for 8 of them costs less than half of 8 writes.
const WRITE_BYTES = 512 * 1024

/** Chunks that are written at once. */
export interface Block {
  chunks: Uint8Array[]
  /** Of all of them, in bytes. */
  length: number
}

export async function* blocks(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Block, void> {
  let chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of bytes) {
    chunks.push(chunk)
    length += chunk.length
    if (length < WRITE_BYTES) continue
    yield { chunks, length }
    chunks = []
    length = 0
  }
  if (length > 0) yield { chunks, length }
}

/** A full disk takes a part of a write without an error, and refuses the next one. */
export async function writeBlock(file: FileHandle, { chunks, length }: Block, position: number): Promise<void> {
  const { bytesWritten } = await file.writev(chunks, position)
  if (bytesWritten === length) return
  const rest = Buffer.concat(chunks).subarray(bytesWritten)
  for (let done = 0; done < rest.length;)
    done += (await file.write(rest, done, rest.length - done, position + bytesWritten + done)).bytesWritten
}

/** Renames, and syncs every folder that gained a name by it. */
export async function moveDurably(from: string, to: string): Promise<void> {
  const folder = path.dirname(to)
  const created = await mkdir(folder, { recursive: true, mode: 0o700 })
  await rename(from, to)
  await syncFolders(folder, created)
}

/** Syncs every folder that gained a name: the one, and those above it up to the parent of the first that was made. */
export async function syncFolders(folder: string, created: string | undefined): Promise<void> {
  await syncFolder(folder)
  if (created === undefined) return
  for (let child = folder; child.length >= created.length; child = path.dirname(child)) await syncFolder(path.dirname(child))
}

export async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder; its renames are journalled.
  if (process.platform === 'win32') return
  let handle: FileHandle
  try {
    handle = await open(folder, 'r')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return
    throw error
  }
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export async function unlinkIfThere(file: string): Promise<void> {
  try {
    await unlink(file)
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error
  }
}

export async function onDisk<T>(what: string, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn()
  } catch (error) {
    throw storageError(what, error)
  }
}

export function storageError(what: string, cause: unknown): CairnError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  if (!isCode(cause, 'ENOSPC', 'EDQUOT')) return new CairnError('STORAGE_FAILED', `${what}: ${reason}`, { cause })
  return new CairnError('STORAGE_FULL', 'the disk of the blob store is full', {
    cause,
    hint: 'Free space or extend the volume, then push again: what was stored stays.',
  })
}
