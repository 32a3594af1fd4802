import type { Digest } from '@cairn/protocol/digest'
import type { ObjectCache } from '../cache/object-cache.ts'

/** What stands behind a url. */
export interface UrlLook {
  folder: boolean
  /** Relative to the url; a single file is ''. */
  files: ReadonlyArray<{ path: string; size: number | undefined; etag?: string | undefined }>
  size: number | undefined
  /** The storage's own name for this content: S3 calls it `etag`, HTTP `checksum`. */
  etag?: string | undefined
  checksum?: string | undefined
  /** Of a folder: what dvc makes of the names and etags in it. */
  digest?: Digest | undefined
}

/** A file or folder outside of any repository, read only. Close it. */
export interface UrlSource {
  /** As it is shown: without credentials. */
  url: string
  /** undefined when there is nothing. */
  look(signal: AbortSignal): Promise<UrlLook | undefined>
  /** Takes one of its files into the cache. */
  bring(file: string, cache: ObjectCache, signal: AbortSignal): Promise<{ digest: Digest; size: number }>
  close(): Promise<void>
}
