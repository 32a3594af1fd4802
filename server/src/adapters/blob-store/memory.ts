import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { CairnError } from '@cairn/protocol/error'
import { partRange } from '../../domain/part-plan.ts'
import type { BlobDraft, BlobStore } from '../../domain/ports/blob-store.ts'
import { abortable } from './abortable.ts'
import { assertKey } from './key.ts'

/** Blobs in memory, for tests: the smallest thing that keeps the port's promises, durability aside. */
export function memoryBlobStore(): BlobStore {
  const blobs = new Map<string, { bytes: Buffer; modified: Date }>()
  const drafts = new Map<string, Buffer>()
  const draftOf = ({ id, key }: BlobDraft): Buffer => {
    const bytes = drafts.get(id)
    if (!bytes) throw new CairnError('NOT_FOUND', `${key}: no such draft`)
    return bytes
  }

  return {
    async put(key, bytes, { signal, done }) {
      assertKey(key)
      const chunks: Uint8Array[] = []
      for await (const chunk of abortable(bytes, signal)) {
        chunks.push(Uint8Array.from(chunk))
        done?.(chunk)
      }
      const blob = Buffer.concat(chunks)
      blobs.set(key, { bytes: blob, modified: new Date() })
      return blob.length
    },

    async get(key, { range, signal }) {
      signal.throwIfAborted()
      const blob = blobs.get(key)
      if (!blob) throw new CairnError('NOT_FOUND', `${key}: no such blob`)
      return Readable.from(slices(blob.bytes.subarray(range?.start ?? 0, range?.end)), { objectMode: false, signal })
    },

    async beginDraft(key, { size }, signal) {
      assertKey(key)
      signal.throwIfAborted()
      const id = randomUUID()
      drafts.set(id, Buffer.alloc(size))
      return id
    },

    async putPart(draft, number, bytes, { signal, done }) {
      const target = draftOf(draft)
      let position = partRange(draft, number)?.start ?? 0
      for await (const chunk of abortable(bytes, signal)) {
        target.set(chunk, position)
        position += chunk.length
        done?.(chunk)
      }
      return `part ${number}`
    },

    async completeDraft(draft) {
      if (blobs.has(draft.key)) return
      blobs.set(draft.key, { bytes: draftOf(draft), modified: new Date() })
      drafts.delete(draft.id)
    },

    async dropDraft({ id }) {
      drafts.delete(id)
    },

    async stat(key) {
      const blob = blobs.get(key)
      return blob && { key, size: blob.bytes.length, modified: blob.modified }
    },

    async delete(keys) {
      for (const key of keys) blobs.delete(key)
    },

    async *list(prefix, signal) {
      for (const [key, blob] of [...blobs].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
        signal.throwIfAborted()
        if (key.startsWith(prefix)) yield { key, size: blob.bytes.length, modified: blob.modified }
      }
    },

    async removeUnfinished() {
      return 0
    },

    async check() {},
  }
}

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let offset = 0; offset < bytes.length; offset += 65_536) yield Buffer.from(bytes.subarray(offset, offset + 65_536))
}
