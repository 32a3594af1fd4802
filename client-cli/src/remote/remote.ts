import type { Digest } from '@cairn/protocol/digest'
import type { TreeEntry } from '@cairn/protocol/tree'
import type { ObjectSink } from '../cache/object-sink.ts'
import type { Report } from '../report/event.ts'

/** Cached bytes that a push reads. `path` is an absolute file. */
export interface LocalObject {
  digest: Digest
  path: string
  size: number
}

/** A tree to push: its own bytes in the cache and its parsed entries. */
export interface LocalTree extends LocalObject {
  entries: readonly TreeEntry[]
}

export interface TransferOptions {
  signal: AbortSignal
  report: Report
  /** Bodies in flight at once. */
  jobs?: number | undefined
}

/** Called for each object as soon as it is in the cache, or known to be gone from the remote. */
export type OnObject = (digest: Digest, outcome: 'transferred' | 'absent') => void

export interface PushResult {
  /** Objects that went over the wire, trees included. */
  pushed: number
  bytes: number
  requests: number
}

/**
 * The other side of push and pull. One conformance suite (test/conformance/remote.ts) runs against every implementation.
 * Implementations retry what may be retried; what they throw is final.
 */
export interface Remote {
  readonly name: string
  readonly url: string
  /**
   * Which of the *roots* (trees and single files) are not there in full. A tree that is not missing has all its files.
   * Must cost one question for all of them where the remote can.
   */
  findMissing(roots: readonly Digest[], options: TransferOptions): Promise<Set<Digest>>
  /**
   * Which files of these trees and which single files the remote lacks: what a push would send. Used by `status -c`
   * and `push --dry-run`; sends nothing but questions.
   */
  findMissingFiles(digests: readonly Digest[], options: TransferOptions): Promise<Set<Digest>>
  /** Sends what is missing of these trees (a tree only after everything in it) and files. Answers when all of it is durable there. */
  push(trees: readonly LocalTree[], files: readonly LocalObject[], options: TransferOptions): Promise<PushResult>
  /**
   * Brings objects into the sink, each verified. Objects the remote does not have are reported `absent`, not thrown.
   * `large` says which are known to be large (streamed); sizes are not always known.
   */
  fetch(digests: readonly Digest[], sink: ObjectSink, options: TransferOptions & { onObject?: OnObject }): Promise<{ bytes: number; requests: number }>
  close(): Promise<void>
}
