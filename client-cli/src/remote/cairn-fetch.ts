import type { Digest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { PackRecord } from '@cairn/protocol/pack'
import type { ObjectSink } from '../cache/object-sink.ts'
import { mapLimit } from '../io/limit.ts'
import type { CairnApi } from './cairn-api.ts'
import type { FetchResult, OnObject, TransferFailure, TransferOptions } from './remote.ts'

/** Digests in one question: 170 KB of body. */
const BATCH = 10_000
/** A smaller share for each connection costs more in requests than it gains. */
const SMALLEST_BATCH = 2500
/** Objects whose bytes disagree with their digest are asked for so often, by themselves. */
const SINGLE_TRIES = 2

export interface CairnFetch {
  api: CairnApi
  sink: ObjectSink
  digests: readonly Digest[]
  options: TransferOptions & { onObject?: OnObject }
}

/** Packs first, in batches; then, one by one, what a pack does not carry: large objects, and those that came damaged. */
export async function fetchFromCairn(fetch: CairnFetch): Promise<Omit<FetchResult, 'requests'>> {
  const { api, options } = fetch
  const jobs = options.jobs ?? api.limits.parallel
  const pending = new Set(fetch.digests)
  const tally = createTally(fetch, pending)
  try {
    await mapLimit(batches([...pending], jobs), jobs, (batch) => fetchBatch(fetch, batch, tally))
    await mapLimit([...pending], jobs, (digest) => fetchSingle(fetch, digest, tally))
  } finally {
    options.report({ type: 'progress-end', task: 'Fetching' })
  }
  return { bytes: tally.bytes, failed: tally.failed }
}

function batches(digests: readonly Digest[], jobs: number): Digest[][] {
  const size = Math.min(BATCH, Math.max(SMALLEST_BATCH, Math.ceil(digests.length / jobs)))
  const list: Digest[][] = []
  for (let from = 0; from < digests.length; from += size) list.push(digests.slice(from, from + size))
  return list
}

/** What has come so far. */
interface Tally {
  bytes: number
  failed: TransferFailure[]
  settle(digest: Digest, outcome: 'transferred' | 'absent', bytes: number): void
}

function createTally(fetch: CairnFetch, pending: Set<Digest>): Tally {
  const { report, onObject } = fetch.options
  const total = pending.size
  const tally: Tally = {
    bytes: 0,
    failed: [],
    settle(digest, outcome, bytes) {
      pending.delete(digest)
      tally.bytes += bytes
      onObject?.(digest, outcome)
      report({ type: 'progress', task: 'Fetching', done: total - pending.size, total, unit: 'files' })
    },
  }
  return tally
}

async function fetchBatch(fetch: CairnFetch, batch: readonly Digest[], tally: Tally): Promise<void> {
  const { api, sink, options } = fetch
  const wanted = new Set(batch)
  const take = (record: PackRecord) => {
    if (!wanted.delete(record.digest)) return
    if (record.type === 'absent') tally.settle(record.digest, 'absent', 0)
    else if (storeIntact(sink, record.digest, record.payload)) tally.settle(record.digest, 'transferred', record.payload.length)
  }
  // As long as each answer brings something before it breaks, asking for the rest goes on.
  for (;;) {
    const before = wanted.size
    try {
      await api.fetch(() => [...wanted], take, options.signal)
      return
    } catch (error) {
      if (!isCode(error, 'UNREACHABLE', 'REMOTE_FAILED') || wanted.size === before) throw error
    }
  }
}

/** False when the bytes do not hash to the digest: nothing is stored, and the object is asked for again by itself. */
function storeIntact(sink: ObjectSink, digest: Digest, bytes: Uint8Array): boolean {
  try {
    sink.store(digest, bytes)
    return true
  } catch (error) {
    if (isCode(error, 'DIGEST_MISMATCH')) return false
    throw error
  }
}

async function fetchSingle(fetch: CairnFetch, digest: Digest, tally: Tally): Promise<void> {
  const { api, sink, options } = fetch
  for (let tries = 1; ; tries++) {
    try {
      const download = await api.download(digest, options.signal)
      if (!download) return tally.settle(digest, 'absent', 0)
      return tally.settle(digest, 'transferred', await sink.storeStream(digest, download.bytes, options.signal))
    } catch (error) {
      if (isCode(error, 'OBJECT_UNKNOWN')) return tally.settle(digest, 'absent', 0)
      if (!(error instanceof CairnError) || error.code !== 'DIGEST_MISMATCH') throw error
      if (tries < SINGLE_TRIES) continue
      tally.failed.push({ digest, reason: 'damaged', message: error.message })
      return
    }
  }
}
