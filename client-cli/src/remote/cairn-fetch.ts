import { type Digest, isTree } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import type { PackRecord } from '@cairn/protocol/pack'
import type { ObjectSink } from '../cache/object-sink.ts'
import { mapLimit } from '../io/limit.ts'
import { bodiesAtOnce } from './concurrency.ts'
import type { CairnFetch, Tally } from './fetch-run.ts'
import { fetchSingle } from './fetch-single.ts'
import { fetchTree } from './fetch-tree.ts'
import { inParallel, type Task } from './parallel.ts'
import type { FetchResult } from './remote.ts'
import { describeWait } from './retry.ts'

/** Digests in one question: 170 KB of body. */
const BATCH = 10_000
/** A smaller share for each connection costs more in requests than it gains. */
const SMALLEST_BATCH = 2500
/** Objects between two words about progress. */
const TOLD = 64

/**
 * Large trees by what differs; then in packs, batch by batch, and by itself what a pack does not carry: large objects, and
 * those that came damaged.
 */
export async function fetchFromCairn(fetch: CairnFetch): Promise<Omit<FetchResult, 'requests'>> {
  const { api, options } = fetch
  const jobs = options.jobs ?? api.limits.parallel
  const concurrency = bodiesAtOnce(api.limits, options.jobs)
  const tally = createTally(fetch)
  const forget = api.onWait((wait) => {
    if (wait.pushedBack) concurrency.pushedBack(performance.now())
    tally.tell(describeWait(wait))
  })
  const trees = new Set(fetch.digests.filter(isTree))
  const left: Digest[] = []
  try {
    await mapLimit(trees, jobs, (digest) => fetchTree(fetch, digest, tally))
    const rest = trees.size === 0 ? fetch.digests : fetch.digests.filter((digest) => !tally.settledTrees.has(digest))
    await inParallel(tasks(fetch, rest, jobs, left, tally), concurrency)
    // What the last batches left.
    await inParallel(singles(fetch, left, tally), concurrency)
  } finally {
    forget()
    options.report({ type: 'progress-end', task: 'Fetching' })
  }
  return { bytes: tally.bytes, failed: tally.failed }
}

function* tasks(fetch: CairnFetch, digests: readonly Digest[], jobs: number, left: Digest[], tally: Tally): Generator<Task> {
  const size = Math.min(BATCH, Math.max(SMALLEST_BATCH, Math.ceil(digests.length / jobs)))
  for (let from = 0; from < digests.length; from += size) {
    yield () => fetchBatch(fetch, digests.slice(from, from + size), left, tally)
    yield* singles(fetch, left, tally)
  }
}

function* singles(fetch: CairnFetch, left: Digest[], tally: Tally): Generator<Task> {
  for (let digest = left.pop(); digest !== undefined; digest = left.pop()) {
    const wanted = digest
    yield async () => {
      let moved = 0
      const settle: Tally['settle'] = (settled, outcome, bytes) => {
        moved += bytes
        tally.settle(settled, outcome, bytes)
      }
      await fetchSingle(fetch, wanted, { ...tally, settle })
      return moved
    }
  }
}

interface FullTally extends Tally {
  settledTrees: ReadonlySet<Digest>
  tell(waiting?: string): void
}

function createTally(fetch: CairnFetch): FullTally {
  const { report, onObject } = fetch.options
  const total = fetch.digests.length
  const settledTrees = new Set<Digest>()
  let done = 0
  const tell = (waiting?: string) => report({ type: 'progress', task: 'Fetching', done, total, unit: 'files', waiting })
  return {
    bytes: 0,
    failed: [],
    settledTrees,
    tell,
    settle(digest, outcome, bytes) {
      this.bytes += bytes
      if (isTree(digest)) settledTrees.add(digest)
      onObject?.(digest, outcome)
      if (++done % TOLD === 0 || done === total) tell()
    },
  }
}

/** Resolves with the bytes that came; what did not come is added to `left`. */
async function fetchBatch(fetch: CairnFetch, batch: readonly Digest[], left: Digest[], tally: Tally): Promise<number> {
  const { api, sink, options } = fetch
  const wanted = new Set(batch)
  let bytes = 0
  const damaged: Digest[] = []
  const take = (record: PackRecord) => {
    if (!wanted.delete(record.digest)) return
    if (record.type === 'absent') return tally.settle(record.digest, 'absent', 0)
    if (!storeIntact(sink, record.digest, record.payload)) return void damaged.push(record.digest)
    bytes += record.payload.length
    tally.settle(record.digest, 'transferred', record.payload.length)
  }
  // As long as each answer brings something before it breaks, asking for the rest goes on.
  for (;;) {
    const before = wanted.size
    try {
      await api.fetch(() => [...wanted], take, options.signal)
      left.push(...wanted, ...damaged)
      return bytes
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
