import type { Digest } from '@cairn/protocol/digest'
import type { Receptions } from './receiving.ts'

/** Where fetched bytes go. Nothing is visible in the cache before it was verified. */
export interface ObjectSink {
  has(digest: Digest): boolean
  /** Small objects: verifies, then stores. @throws CairnError DIGEST_MISMATCH */
  store(digest: Digest, bytes: Uint8Array): void
  /** Large objects: verifies while streaming, then stores; resolves with the bytes written. @throws CairnError DIGEST_MISMATCH */
  storeStream(digest: Digest, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number>
  /** Large objects in pieces, which a later run can go on with. */
  readonly receptions: Receptions
}
