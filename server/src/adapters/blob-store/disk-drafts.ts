import { randomUUID } from 'node:crypto'
import { mkdir, open, stat, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { partRange } from '../../domain/part-plan.ts'
import type { BlobDraft, BlobStore, Bytes, PutOptions } from '../../domain/ports/blob-store.ts'
import { abortable } from './abortable.ts'
import { type Block, blocks, moveDurably, onDisk, syncFolders, unlinkIfThere, writeBlock } from './disk-files.ts'
import { assertKey } from './key.ts'

type Drafts = Pick<BlobStore, 'beginDraft' | 'putPart' | 'completeDraft' | 'dropDraft'>

/** The disk begins to write while the part still arrives, so that little is left to wait for at its end. */
const SYNC_BYTES = 4 << 20

/** Blobs that grow in parts: one file each, `<dir>/<draft's id>`, into which every part is written at its place. */
export function diskDrafts(dir: string, fileOf: (key: string) => string): Drafts {
  const draftOf = (draft: BlobDraft): string => {
    if (!/^[0-9a-f-]{36}$/.test(draft.id)) throw new Error(`not a draft: ${JSON.stringify(draft.id)}`)
    return path.join(dir, draft.id)
  }

  return {
    async beginDraft(key, { size }, signal) {
      assertKey(key)
      signal.throwIfAborted()
      const id = randomUUID()
      await onDisk(key, () => createDurably(path.join(dir, id), size))
      return id
    },

    async putPart(draft, number, bytes, { signal, done }) {
      signal.throwIfAborted()
      const range = partRange(draft, number)
      if (!range) throw new Error(`the draft has no part ${number}`)
      const file = await openDraft(draftOf(draft), draft.key)
      try {
        await writeAt(file, draft.key, range.start, { bytes: abortable(bytes, signal), done })
        await onDisk(draft.key, () => file.datasync())
        return 'durable'
      } finally {
        await onDisk(draft.key, () => file.close())
      }
    },

    async completeDraft(draft) {
      try {
        await moveDurably(draftOf(draft), fileOf(draft.key))
      } catch (error) {
        if (!isCode(error, 'ENOENT')) throw await onDisk(draft.key, () => Promise.reject(error as Error))
        const found = await stat(fileOf(draft.key)).catch(() => undefined)
        if (found?.size !== draft.size) throw noDraft(draft.key, error)
      }
    },

    async dropDraft(draft) {
      await onDisk(draft.key, () => unlinkIfThere(draftOf(draft)))
    },
  }
}

async function createDurably(file: string, size: number): Promise<void> {
  const folder = path.dirname(file)
  const created = await mkdir(folder, { recursive: true, mode: 0o700 })
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.truncate(size)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await syncFolders(folder, created)
}

async function openDraft(file: string, key: string): Promise<FileHandle> {
  try {
    return await open(file, 'r+')
  } catch (error) {
    if (isCode(error, 'ENOENT')) throw noDraft(key, error)
    return await onDisk(key, () => Promise.reject(error as Error))
  }
}

const noDraft = (key: string, cause: unknown): CairnError => new CairnError('NOT_FOUND', `${key}: no such draft`, { cause })

/** While one block is written, the next arrives. Failures of the source pass through as they are. */
async function writeAt(
  file: FileHandle,
  key: string,
  start: number,
  { bytes, done }: { bytes: Bytes; done: PutOptions['done'] },
): Promise<void> {
  const write = async (block: Block, at: number): Promise<void> => {
    await onDisk(key, () => writeBlock(file, block, at))
    if (done) block.chunks.forEach(done)
  }
  let position = start
  let unsynced = 0
  let writing: Promise<void> = Promise.resolve()
  let syncing: Promise<void> = Promise.resolve()
  try {
    for await (const block of blocks(bytes)) {
      await writing
      writing = write(block, position)
      writing.catch(() => undefined)
      position += block.length
      unsynced += block.length
      if (unsynced < SYNC_BYTES) continue
      unsynced = 0
      syncing = Promise.all([syncing, writing]).then(() => onDisk(key, () => file.datasync()))
      syncing.catch(() => undefined)
    }
  } finally {
    await Promise.allSettled([writing, syncing])
  }
  await writing
  await syncing
}
