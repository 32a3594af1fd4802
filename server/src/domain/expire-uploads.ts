import type { Stores } from './stores.ts'

const BATCH = 100
const IDLE_SECONDS = 7 * 24 * 3600

export interface ExpiredUploads extends Record<string, unknown> {
  uploads: number
}

/** Gives up uploads in parts that made no progress for a week. What a crash leaves of one is removed as unfinished later. */
export async function expireUploads(stores: Stores, signal: AbortSignal): Promise<ExpiredUploads> {
  let uploads = 0
  for (;;) {
    signal.throwIfAborted()
    const idle = await stores.catalog.listIdleUploads(IDLE_SECONDS, BATCH)
    let removed = 0
    for (const { id, draft } of idle) {
      if (!(await stores.catalog.removeUpload(id, { trash: true }))) continue
      await stores.blobs.dropDraft(draft)
      removed++
    }
    uploads += removed
    if (removed === 0) return { uploads }
  }
}
