import type { Digest } from '@cairn/protocol/digest'
import type { BlobStore } from './ports/blob-store.ts'
import type { Catalog, LinkOutcome, ProjectRow } from './ports/catalog.ts'
import type { Clock } from './ports/clock.ts'
import type { SideHash } from './ports/side-hash.ts'
import type { Measured } from './verify-stream.ts'

/** What every part of the domain works on. `wire.ts` builds it once. */
export interface Stores {
  catalog: Catalog
  blobs: BlobStore
  clock: Clock
  /** Where a second core can be had for the hashes of large objects. */
  hashBeside?: (() => SideHash) | undefined
  /** Takes in small objects that come one by one. */
  small: SmallObjects
  /** Told what happened, for the log and the metrics. Never throws. */
  notice: (notice: Notice) => void
}

export type Notice =
  | { type: 'stored'; outcome: LinkOutcome; objects: number; bytes: number }
  | { type: 'damaged'; projectId: number; digest: Digest; reason: string }
  | { type: 'mended'; projectId: number; trees: number }

export interface SmallObject {
  /** Its digest was compared with what was measured. */
  digest: Digest
  bytes: Uint8Array
  measured: Measured
  /** Whether a damaged row waits for these bytes. */
  repairs: boolean
  /** Of who sent it: one that left before its batch began is left out. */
  signal: AbortSignal
}

/**
 * Stores objects that arrive one by one as if they had come in a pack: those that arrive together share one durable write
 * and one transaction, and each is acknowledged after both. What fails one member fails no other; when the write or the
 * transaction fails, all of the batch fail, and nothing of it is visible.
 */
export interface SmallObjects {
  /** @throws CairnError DIGEST_CONFLICT, and what the blob store and the catalog throw */
  store(project: ProjectRow, object: SmallObject): Promise<'stored' | 'exists'>
}
