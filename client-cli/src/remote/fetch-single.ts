import type { Digest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { fetchDelta } from './fetch-delta.ts'
import { fetchDirect } from './fetch-direct.ts'
import { fetchInRanges } from './fetch-ranges.ts'
import type { CairnFetch, FetchWay, Tally } from './fetch-run.ts'

/** Objects whose bytes disagree with their digest are asked for so often, by themselves. */
const SINGLE_TRIES = 2

/** Best first. */
const WAYS: readonly FetchWay[] = [fetchDelta, fetchDirect, fetchInRanges]

/** Brings an object that no pack carries. */
export async function fetchSingle(fetch: CairnFetch, digest: Digest, tally: Tally): Promise<void> {
  for (const way of WAYS) if (await way(fetch, digest, tally)) return
  await fetchWhole(fetch, digest, tally)
}

async function fetchWhole(fetch: CairnFetch, digest: Digest, tally: Tally): Promise<void> {
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
