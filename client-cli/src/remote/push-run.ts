import type { Digest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { CairnApi } from './cairn-api.ts'
import type { Concurrency } from './concurrency.ts'
import type { DeltaApi } from './delta-api.ts'
import type { DirectApi } from './direct-api.ts'
import type { Meter } from './meter.ts'
import type { Failures, Outgoing, SourceCache } from './outgoing.ts'
import type { LocalTree, TransferOptions } from './remote.ts'

export interface CairnPush {
  api: CairnApi
  /** Where the bucket may be used at all. */
  direct?: DirectApi | undefined
  /** Where differences may be sent at all. */
  deltas?: DeltaApi | undefined
  cache: SourceCache
  trees: readonly LocalTree[]
  files: readonly Digest[]
  options: TransferOptions
}

/** One push under way. */
export interface PushRun extends CairnPush {
  session: string
  failures: Failures
  /** Bodies at once to begin with, or as a person asked for. */
  jobs: number
  concurrency: Concurrency
  pushed: number
  bytes: number
  meter: Meter
  /** Files that were sent before the server could ask for them. */
  early: Set<Digest>
  /** Sizes of the trees that the server was sent. */
  waiting: Map<Digest, number>
}

/**
 * A way to send one object by itself: false when this is not its case (too small for it, not offered by the server, switched
 * off), and the next way is tried. What it sent or noted as failed is settled: true.
 */
export type PushWay = (run: PushRun, object: Outgoing) => Promise<boolean>

const OBJECT_CODES = ['DIGEST_MISMATCH', 'DIGEST_CONFLICT', 'BODY_TOO_LARGE', 'BAD_TREE', 'TREE_INCOMPLETE']

/** An answer about one object keeps only that object back; any other error ends the push. */
export function noteRefusal(run: PushRun, digest: Digest, error: unknown): void {
  if (!isCode(error, ...OBJECT_CODES)) throw error
  run.failures.set(digest, { digest, reason: 'refused', message: (error as Error).message })
}

/** The object whose bytes changed while they were sent; undefined when the error is about something else. */
export function changedObject(error: unknown): Digest | undefined {
  return error instanceof CairnError && error.code === 'CACHE_DAMAGED'
    ? (error.data?.['digest'] as Digest | undefined)
    : undefined
}
