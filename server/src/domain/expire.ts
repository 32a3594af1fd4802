import type { Stores } from './stores.ts'

const BATCH = 500
/** Long enough for a read of the blob that began before it went to the trash. */
const TRASH_SECONDS = 24 * 3600
const UNFINISHED_MILLISECONDS = 24 * 3600 * 1000
/** A day later than the last commit that is taken, so that no commit meets it. */
const DIRECT_SECONDS = 48 * 3600

export interface Expired extends Record<string, unknown> {
  sessions: number
  trees: number
  blobs: number
  unfinished: number
  /** Uploads straight to the bucket that nobody committed. */
  abandoned: number
}

/**
 * Ends sessions nobody renewed, and deletes the bytes of blobs whose rows are gone for a day. The trash row is removed after
 * the bytes: a crash between the two deletes nothing twice that matters.
 */
export async function expire(stores: Stores, signal: AbortSignal): Promise<Expired> {
  const { sessions, trees } = await stores.catalog.expireSessions()
  const abandoned = await stores.catalog.expireDirectUploads(DIRECT_SECONDS)
  let blobs = 0
  for (;;) {
    signal.throwIfAborted()
    const trash = await stores.catalog.listTrash(TRASH_SECONDS, BATCH)
    if (trash.length === 0) break
    await stores.blobs.delete(trash.map((row) => row.key))
    await stores.catalog.removeTrash(trash.map((row) => row.id))
    blobs += trash.length
  }
  const before = new Date(stores.clock.now().getTime() - UNFINISHED_MILLISECONDS)
  const unfinished = await stores.blobs.removeUnfinished(before, signal, await stores.catalog.listDrafts())
  return { sessions, trees, blobs, unfinished, abandoned }
}
