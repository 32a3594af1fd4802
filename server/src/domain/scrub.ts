import { createHash } from 'node:crypto'
import { isCode } from '@cairn/protocol/error'
import { isDeltaKey } from './blob-key.ts'
import { recordDamage } from './damage.ts'
import type { Bytes } from './ports/blob-store.ts'
import type { ObjectRow } from './ports/catalog.ts'
import { readRested } from './recipe.ts'
import type { Stores } from './stores.ts'

const BATCH = 100

export interface ScrubProgress {
  /** The last blob that was read to its end: where an interrupted scrub goes on. */
  afterId: number
  blobs: number
  objects: number
  bytes: number
  damaged: number
}

export const NEW_SCRUB: ScrubProgress = { afterId: 0, blobs: 0, objects: 0, bytes: 0, damaged: 0 }

/** Reads every blob once and hashes every object in it. Damage is recorded; whoever pushes the object again repairs it. */
export async function scrub(
  stores: Stores,
  options: { from: ScrubProgress; signal: AbortSignal; onProgress: (progress: ScrubProgress) => Promise<void> },
): Promise<ScrubProgress> {
  let progress = options.from
  for (;;) {
    const blobs = await stores.catalog.listBlobs(progress.afterId, BATCH)
    if (blobs.length === 0) return progress
    for (const blob of blobs) {
      options.signal.throwIfAborted()
      const readable = blob.objects.filter((object) => object.state !== 'damaged')
      const damaged = await findDamage(stores, blob, readable, options.signal)
      await recordDamage(stores, blob.projectId, damaged, 'found by a scrub')
      progress = {
        afterId: blob.id,
        blobs: progress.blobs + 1,
        objects: progress.objects + readable.length,
        bytes: progress.bytes + blob.size,
        damaged: progress.damaged + damaged.length,
      }
    }
    await stores.catalog.markVerified(blobs.map((blob) => blob.id))
    await options.onProgress(progress)
  }
}

async function findDamage(
  stores: Stores,
  blob: { key: string },
  objects: readonly ObjectRow[],
  signal: AbortSignal,
): Promise<ObjectRow[]> {
  const [first] = objects
  if (first === undefined) return []
  try {
    // Hashed as it is served: what is lost in a base is lost to all that is made of it.
    if (isDeltaKey(blob.key)) return await hashMembers(readRested(stores, first, signal), objects)
    const stream = await stores.blobs.get(blob.key, { signal })
    try {
      return await hashMembers(stream as Bytes, objects)
    } finally {
      stream.destroy()
    }
  } catch (error) {
    if (isCode(error, 'NOT_FOUND', 'OBJECT_DAMAGED')) return [...objects]
    throw error
  }
}

/** One pass over a blob; members do not overlap. Returns those whose bytes are not what was received. */
export async function hashMembers(source: Bytes, objects: readonly ObjectRow[]): Promise<ObjectRow[]> {
  const waiting = objects.toSorted((a, b) => a.offset - b.offset || a.size - b.size)
  const damaged: ObjectRow[] = []
  let at = 0
  let hash = createHash('sha256')
  let position = 0
  const closeFinished = (end: number) => {
    for (let row = waiting[at]; row && row.offset + row.size <= end; row = waiting[at]) {
      if (!hash.digest().equals(row.sha256)) damaged.push(row)
      hash = createHash('sha256')
      at++
    }
  }
  closeFinished(0)
  for await (const chunk of source) {
    const end = position + chunk.length
    for (let row = waiting[at]; row && row.offset < end; row = waiting[at]) {
      hash.update(chunk.subarray(Math.max(0, row.offset - position), Math.min(chunk.length, row.offset + row.size - position)))
      if (row.offset + row.size > end) break
      closeFinished(row.offset + row.size)
    }
    position = end
    closeFinished(position)
  }
  return [...damaged, ...waiting.slice(at)]
}
