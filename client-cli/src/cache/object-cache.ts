import type { Digest } from '@cairn/protocol/digest'
import type { TreeEntry } from '@cairn/protocol/tree'
import type { ObjectSink } from './object-sink.ts'

/**
 * The local object store, in dvc's layout: `<dir>/files/md5/ab/cdef…` and `<dir>/ab/cdef…` for legacy objects. Objects are
 * written as tmp + rename with mode 0444. Synchronous: on small files, sync calls beat promises three times.
 */
export interface ObjectCache extends ObjectSink {
  /** The cache's directory, absolute. */
  readonly dir: string
  pathOf(digest: Digest): string
  /** Present by name. Cheap: no bytes are read. */
  has(digest: Digest): boolean
  /** Those that are not present, in their order. */
  missing(digests: readonly Digest[]): Digest[]
  /**
   * True when the object may be linked or sent: present, and its stat is what was recorded when it was stored, or its bytes
   * were hashed again now and agree. A damaged object is moved aside (`<name>.damaged`) and false is returned.
   */
  isSound(digest: Digest): boolean
  /** Parses a tree out of the cache, verifying its bytes. @throws CairnError CACHE_MISSING, CACHE_DAMAGED, BAD_TREE */
  readTree(digest: Digest): TreeEntry[]
  /** Stores a serialized tree and returns its digest. */
  storeTree(entries: readonly TreeEntry[], options?: { legacy?: boolean }): Digest
  /** Stores the bytes of a workspace file whose digest is known from hashing it; re-checks that the file did not change meanwhile. */
  storeFile(digest: Digest, path: string, how: 'copy' | 'hardlink' | 'reflink'): void
  /** Writes out what is remembered of the objects' stats. */
  close(): void
}
