import type { Digest } from '@cairn/protocol/digest'
import type { BlobStore, Catalog, Clock, LinkOutcome, SideHash } from './ports.ts'
import type { SmallObjects } from './small-objects.ts'

/** What every part of the domain works on. `wire.ts` builds it once. */
export interface Stores {
  catalog: Catalog
  blobs: BlobStore
  clock: Clock
  /** Where a second core can be had for long hashes. */
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
