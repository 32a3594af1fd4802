import type { Readable } from 'node:stream'

/** Bytes in order. The consumer stops reading when it throws or returns; a throwing producer means: nothing of this is valid. */
export type Bytes = AsyncIterable<Uint8Array>

/** Inclusive of `start`, exclusive of `end`, in bytes. */
export interface ByteRange {
  start: number
  end: number
}

export interface BlobStat {
  key: string
  size: number
  modified: Date
}

/** Makes URLs with which others reach a blob without us. Makes, not opens: whether the store honours them is found out elsewhere. */
export interface DirectAccess {
  /**
   * A URL that takes one PUT of exactly these bytes, for `expires` seconds, together with the headers to send. md5 has 16
   * bytes and sha256 32; both and the length are part of the signature, so the URL is good for no other bytes.
   */
  put(
    key: string,
    options: { md5: Uint8Array; sha256: Uint8Array; size: number; expires: number },
  ): { url: string; headers: Record<string, string> }
  /** A URL for GETs of the blob, whole or in ranges, for `expires` seconds. */
  get(key: string, options: { expires: number }): string
}

/** Part `n` (from 0) starts at `n * partBytes`; all but the last have `partBytes` bytes. In bytes, both at least 1. */
export interface PartedSize {
  size: number
  partBytes: number
}

/** A blob that grows in parts. Plain values. */
export interface BlobDraft extends PartedSize {
  key: string
  /** What the store calls it. */
  id: string
}

export interface PutOptions {
  signal: AbortSignal
  /** Told once of each chunk that the store will not look at again. Of a call that fails some may stay untold. */
  done?: ((chunk: Uint8Array) => void) | undefined
}

/**
 * Stored bytes under keys that are never reused. Keys match `[0-9a-z/_-]+`, at most 200 bytes, no `//`, no `/` at an end.
 */
export interface BlobStore {
  /**
   * Stores the bytes and resolves with their number once they are durable: a crash after that keeps them. When `bytes`
   * throws, `put` rejects with that error and nothing is visible under `key`, now or later. Never holds the whole.
   * `size` is a promise the caller makes about the length, where it knows it; a store may use it to choose its way.
   * @throws CairnError STORAGE_FULL, STORAGE_FAILED
   */
  put(key: string, bytes: Bytes, options: PutOptions & { size?: number | undefined }): Promise<number>
  /**
   * Opens a blob or a part of it. The caller consumes or destroys the stream. Destroying early stops the read at the source.
   * @throws CairnError NOT_FOUND when there is no such key (before the stream is returned), STORAGE_FAILED
   */
  get(key: string, options: { range?: ByteRange | undefined; signal: AbortSignal }): Promise<Readable>
  /**
   * Begins a blob that grows in parts, of a size known from the start. Resolves with what the store calls it: with that and
   * the other values of a `BlobDraft` any process can go on. Nothing is visible under `key` before `completeDraft`.
   */
  beginDraft(key: string, size: PartedSize, signal: AbortSignal): Promise<string>
  /**
   * Stores one part, of exactly the length that its number calls for, and resolves with a receipt once it is durable. Parts
   * may come in any order and at once; a number may come again after it failed, but by one sender at a time.
   * When `bytes` throws, or the signal aborts, it rejects with that and the part counts as not there.
   * @throws CairnError NOT_FOUND when there is no such draft, STORAGE_FULL, STORAGE_FAILED
   */
  putPart(draft: BlobDraft, number: number, bytes: Bytes, options: PutOptions): Promise<string>
  /**
   * Makes the blob of its parts: `receipts` has one for each, in order. Resolves when it is durable; may be repeated.
   * @throws CairnError NOT_FOUND when there is neither the draft nor the blob
   */
  completeDraft(draft: BlobDraft, receipts: readonly string[], options: { signal: AbortSignal }): Promise<void>
  /** Succeeds also when there is nothing to drop. */
  dropDraft(draft: BlobDraft): Promise<void>
  stat(key: string): Promise<BlobStat | undefined>
  /** Succeeds also when there is nothing to delete. */
  delete(keys: readonly string[]): Promise<void>
  list(prefix: string, signal: AbortSignal): AsyncIterable<BlobStat>
  /**
   * Removes what uploads left behind that never finished and are older than `before`; returns how many. Drafts named in
   * `standing`, by what the store calls them, are left alone however old they are.
   */
  removeUnfinished(before: Date, signal: AbortSignal, standing?: ReadonlySet<string>): Promise<number>
  /** Resolves when the store answers; throws CairnError STORAGE_FAILED with the reason otherwise. */
  check(signal: AbortSignal): Promise<void>
  /** Only where blobs have addresses of their own. */
  direct?: DirectAccess | undefined
}
