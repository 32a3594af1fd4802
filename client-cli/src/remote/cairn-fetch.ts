import type { Digest } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import type { PackRecord } from '@cairn/protocol/pack'
import type { ObjectSink } from '../cache/object-sink.ts'
import { mapLimit } from '../io/limit.ts'
import type { CairnFetch, Tally } from './fetch-run.ts'
import { fetchSingle } from './fetch-single.ts'
import type { FetchResult } from './remote.ts'

/** Digests in one question: 170 KB of body. */
const BATCH = 10_000
/** A smaller share for each connection costs more in requests than it gains. */
const SMALLEST_BATCH = 2500
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
