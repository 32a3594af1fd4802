import type { Digest } from '@cairn/protocol/digest'
import type { ObjectSink } from '../cache/object-sink.ts'
import type { CairnApi } from './cairn-api.ts'
import type { OnObject, TransferFailure, TransferOptions } from './remote.ts'

export interface CairnFetch {
  api: CairnApi
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
