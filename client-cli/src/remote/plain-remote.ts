import type { Digest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { ObjectSink } from '../cache/object-sink.ts'
import { mapLimit } from '../io/limit.ts'
import { type BodyCount, createMeter } from './meter.ts'
import {
  type Failures,
  noteUnsound,
  type Outgoing,
  type SourceCache,
  takeAllSound,
  takeFiles,
  takeSound,
  withoutFailed,
} from './outgoing.ts'
import type { FetchResult, LocalTree, OnObject, PushResult, Remote, RemoteRuns, TransferOptions } from './remote.ts'

/** A place in dvc's layout that is asked for one object at a time. */
export interface PlainStore {
  name: string
  url: string
  cache: SourceCache
  /** Requests at once, where a transfer does not say. */
  jobs: number
  isPresent(digest: Digest, signal: AbortSignal): Promise<boolean>
  /** A quicker way to find which of many are not there; undefined for those that are not so many. */
  findMissing?(digests: ReadonlySet<Digest>, signal: AbortSignal): Promise<Set<Digest>> | undefined
  /** `count` is told of the bytes as they go. */
  send(object: Outgoing, count: BodyCount, signal: AbortSignal): Promise<void>
  /** The size of what went into the sink; undefined when there is no such object. @throws CairnError DIGEST_MISMATCH */
  bring(digest: Digest, sink: ObjectSink, signal: AbortSignal): Promise<number | undefined>
  /** Up to now. */
  requests(): number
  runs: RemoteRuns | undefined
  close(): Promise<void>
}

/** Files go before the tree that vouches for them: nothing on such a remote checks the order but us. Whatever comes is verified. */
export function createPlainRemote(store: PlainStore): Remote {
  const { name, url, runs, close } = store
  const find = (digests: Iterable<Digest>, transfer: TransferOptions) => findMissing(store, digests, transfer)
  const counted = async <T>(work: () => Promise<T>): Promise<T & { requests: number }> => {
    const before = store.requests()
    const result = await work()
    return { ...result, requests: store.requests() - before }
  }
  return {
    name,
    url,
    findMissing: find,
    findMissingFiles: find,
    push: (trees, files, transfer) => counted(() => push(store, trees, files, transfer)),
    fetch: (digests, sink, transfer) => counted(() => fetchAll(store, digests, sink, transfer)),
    runs,
    close,
  }
}

async function findMissing(store: PlainStore, asked: Iterable<Digest>, transfer: TransferOptions): Promise<Set<Digest>> {
  const digests = new Set(asked)
  const many = store.findMissing?.(digests, transfer.signal)
  if (many) return many
  const missing = new Set<Digest>()
  await mapLimit(digests, transfer.jobs ?? store.jobs, async (digest) => {
    if (!(await store.isPresent(digest, transfer.signal))) missing.add(digest)
  })
  return missing
}

async function push(
  store: PlainStore,
  trees: readonly LocalTree[],
  files: readonly Digest[],
  transfer: TransferOptions,
): Promise<Omit<PushResult, 'requests'>> {
  const failures: Failures = new Map()
  const missing = await findMissing(store, [...trees.map((tree) => tree.digest), ...files], transfer)
  const missingTrees = trees.filter((tree) => missing.has(tree.digest))
  const entries = missingTrees.flatMap((tree) => takeFiles(tree, failures) ?? [])
  const wanted = new Set([...(await findMissing(store, entries, transfer)), ...files.filter((digest) => missing.has(digest))])
  const objects = await takeAllSound(store.cache, wanted, failures, transfer.signal)
  const jobs = transfer.jobs ?? store.jobs
  const meter = createMeter(transfer.report, 'Pushing')
  meter.plan(objects.reduce((sum, object) => sum + object.size, 0))
  const sent: Outgoing[] = []
  const send = async (object: Outgoing) => {
    try {
      await store.send(object, meter.body(), transfer.signal)
      sent.push(object)
    } catch (error) {
      noteRefusal(object.digest, error, failures)
    }
  }
  try {
    await mapLimit(objects, jobs, send)
    await mapLimit(withoutFailed(missingTrees, failures), jobs, async (tree) => {
      const object = takeSound(store.cache, tree.digest, failures)
      if (object) await send(object)
    })
  } finally {
    meter.end()
  }
  return { pushed: sent.length, bytes: sent.reduce((sum, object) => sum + object.size, 0), failed: [...failures.values()] }
}

/** Notes what is held against one object; anything else would meet the next object as well, and is thrown. */
function noteRefusal(digest: Digest, error: unknown, failures: Failures): void {
  if (isCode(error, 'CACHE_DAMAGED')) return noteUnsound(digest, true, failures)
  if (!isAboutObject(error)) throw error
  failures.set(digest, { digest, reason: 'refused', message: (error as Error).message })
}

function isAboutObject(error: unknown): boolean {
  if (isCode(error, 'DIGEST_MISMATCH', 'DIGEST_CONFLICT', 'TREE_INCOMPLETE', 'BAD_TREE', 'BODY_TOO_LARGE')) return true
  return (
    error instanceof CairnError && error.code === 'REMOTE_FAILED' && [400, 409, 413, 422].includes(Number(error.data?.['status']))
  )
}

async function fetchAll(
  store: PlainStore,
  digests: readonly Digest[],
  sink: ObjectSink,
  transfer: TransferOptions & { onObject?: OnObject },
): Promise<Omit<FetchResult, 'requests'>> {
  const wanted = new Set(digests)
  const result: Omit<FetchResult, 'requests'> = { bytes: 0, failed: [] }
  let done = 0
  try {
    await mapLimit(wanted, transfer.jobs ?? store.jobs, async (digest) => {
      try {
        const size = await fetchOne(store, digest, sink, transfer.signal)
        result.bytes += size ?? 0
        transfer.onObject?.(digest, size === undefined ? 'absent' : 'transferred')
      } catch (error) {
        if (!isCode(error, 'DIGEST_MISMATCH')) throw error
        result.failed.push({ digest, reason: 'damaged', message: (error as Error).message })
      }
      transfer.report({ type: 'progress', task: 'Fetching', done: ++done, total: wanted.size, unit: 'files' })
    })
  } finally {
    transfer.report({ type: 'progress-end', task: 'Fetching' })
  }
  return result
}

/** Bytes that do not agree with their digest may have been spoilt on their way: they are asked for once more. */
async function fetchOne(store: PlainStore, digest: Digest, sink: ObjectSink, signal: AbortSignal): Promise<number | undefined> {
  try {
    return await store.bring(digest, sink, signal)
  } catch (error) {
    if (!isCode(error, 'DIGEST_MISMATCH')) throw error
    return store.bring(digest, sink, signal)
  }
}
