import type { Digest } from '@cairn/protocol/digest'
import type { ObjectSink } from '../cache/object-sink.ts'
import type { CairnApi } from './cairn-api.ts'
import type { DeltaApi } from './delta-api.ts'
import type { DirectApi } from './direct-api.ts'
import type { SourceCache } from './outgoing.ts'
import type { OnObject, TransferFailure, TransferOptions } from './remote.ts'

export interface CairnFetch {
  api: CairnApi
  /** Where the bucket may be used at all. */
  direct?: DirectApi | undefined
  /** Where differences may be fetched at all. */
  deltas?: DeltaApi | undefined
  /** Where earlier versions are. */
  cache: Pick<SourceCache, 'has' | 'pathOf'>
  sink: ObjectSink
  digests: readonly Digest[]
  options: TransferOptions & { onObject?: OnObject }
}

/** What has come so far. */
export interface Tally {
  bytes: number
  failed: TransferFailure[]
  settle(digest: Digest, outcome: 'transferred' | 'absent', bytes: number): void
}

/**
 * A way to bring one object by itself: false when this is not its case, or it could not be done this way and left nothing
 * behind; then the next way is tried. What is settled in the tally: true.
 */
export type FetchWay = (fetch: CairnFetch, digest: Digest, tally: Tally) => Promise<boolean>
