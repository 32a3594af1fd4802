import type { Digest } from '@cairn/protocol/digest'
import type { RunName } from '@cairn/protocol/run-name'
import type { PassingEntry } from '@cairn/protocol/tree-scanner'
import type { ObjectSink } from '../cache/object-sink.ts'
import type { Report } from '../report/event.ts'

/** A tree to push. */
export interface LocalTree {
  digest: Digest
  /** Reads its entries out of the cache, each time: a million of them are never held at once. @throws as ObjectCache.scanTree */
  scan(onEntry: (entry: PassingEntry) => void): void
}

export interface TransferOptions {
  signal: AbortSignal
  report: Report
  /** Bodies in flight at once. */
  jobs?: number | undefined
  /**
   * What an object may be a small change of: the digests that stood at its path before, newest first, out of Git's history.
   * Asked for only when a difference could be sent or fetched instead of the whole. Empty when nothing is known.
   */
  earlier?: ((digest: Digest) => Promise<readonly Digest[]>) | undefined
}

/** Called for each object as soon as it is in the cache, or known to be gone from the remote. */
export type OnObject = (digest: Digest, outcome: 'transferred' | 'absent') => void

/** An object that stayed behind. `missing` and `damaged` are about the sending side's copy; `refused` is the receiver's answer. */
export interface TransferFailure {
  digest: Digest
  reason: 'missing' | 'damaged' | 'refused'
  message: string
}

export interface PushResult {
  /** Objects that went over the wire, trees included. */
  pushed: number
  bytes: number
  requests: number
  /** Everything else was sent. A tree is not sent when one of its entries stayed behind; it is not named here for that. */
  failed: TransferFailure[]
}

export interface FetchResult {
  bytes: number
  requests: number
  /** Objects whose bytes never agreed with their digest, after more than one try. */
  failed: TransferFailure[]
}

/** The run cache of a remote: entries that are there for good under their names. */
export interface RemoteRuns {
  list(options: TransferOptions): Promise<Set<RunName>>
  /** `read` is called once for each, shortly before it is sent; undefined for one that is gone. */
  send(names: readonly RunName[], read: (name: RunName) => Uint8Array | undefined, options: TransferOptions): Promise<void>
  /** Those that are gone by now are left out. */
  bring(names: readonly RunName[], take: (name: RunName, entry: Uint8Array) => void, options: TransferOptions): Promise<void>
}

/**
 * The other side of push and pull. One conformance suite (test/conformance/remote.ts) runs against every implementation.
 * Implementations retry what may be retried; what they throw is final. They read what they send from the cache they were
 * opened with, and send nothing that is not sound there, unless the other side hashes it before it keeps it.
 */
export interface Remote {
  readonly name: string
  /** Without credentials. */
  readonly url: string
  /**
   * Which of the *roots* (trees and single files) are not there in full. A tree that is not missing has all its files.
   * Must cost one question for all of them where the remote can.
   */
  findMissing(roots: readonly Digest[], options: TransferOptions): Promise<Set<Digest>>
  /**
   * Which of these objects, each by itself, the remote lacks: with the entries of missing trees, what a push would send.
   * Used by `status -c` and `push --dry-run`; sends nothing but questions.
   */
  findMissingFiles(digests: readonly Digest[], options: TransferOptions): Promise<Set<Digest>>
  /** Sends what is missing of these trees (a tree only after everything in it) and files. Answers when all of it is durable there. */
  push(trees: readonly LocalTree[], files: readonly Digest[], options: TransferOptions): Promise<PushResult>
  /** Brings objects into the sink, each verified. Objects the remote does not have are reported `absent`, not thrown. */
  fetch(digests: readonly Digest[], sink: ObjectSink, options: TransferOptions & { onObject?: OnObject }): Promise<FetchResult>
  /** undefined: it cannot be asked what it has, so nobody could find an entry there. */
  readonly runs: RemoteRuns | undefined
  close(): Promise<void>
}
