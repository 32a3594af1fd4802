import { CairnError, isCode } from '@cairn/protocol/error'
import { pathOf } from './bucket.ts'
import { fetchInRanges } from './fetch-ranges.ts'
import type { CairnFetch, FetchWay } from './fetch-run.ts'
import type { HttpClient } from './http-client.ts'
import { createFetchRange, type FetchRange } from './range-api.ts'

/** A URL opens nothing any more after some minutes; a large object may take more than one. */
const URLS = 100

/**
 * Straight from the server's bucket, in ranges; the cache verifies what comes. Whatever fails there comes through the server,
 * which also finds out about damage. What has come stays.
 */
export const fetchDirect: FetchWay = async (fetch, digest, tally) => {
  const { direct, options } = fetch
  for (let urls = 1; direct?.offers('get'); urls++) {
    const begin = performance.now()
    try {
      const source = await direct.source(digest, options.signal)
      if (!source) return false
      return await fetchInRanges(fromBucket(fetch, source), digest, tally)
    } catch (error) {
      if (!(error instanceof CairnError) || isCode(error, 'CANCELLED', 'STORAGE_FULL')) throw error
      if (isCode(error, 'OBJECT_UNKNOWN')) {
        tally.settle(digest, 'absent', 0)
        return true
      }
      if (isCode(error, 'FORBIDDEN') && performance.now() - begin > FRESH_MS && urls < URLS) continue
      direct.failed(digest, error)
      return false
    }
  }
  return false
}

/** One that is refused sooner than this was not refused for its age. */
const FRESH_MS = 60_000

function fromBucket(fetch: CairnFetch, { url, bucket }: { url: string; bucket: HttpClient }): CairnFetch {
  const ask = createFetchRange(bucket, () => pathOf(url))
  // What the bucket has lost may be told by the server alone.
  const fetchRange: FetchRange = async (...question) => {
    const outcome = await ask(...question)
    return outcome === 'gone' ? 'no ranges' : outcome
  }
  return { ...fetch, api: { ...fetch.api, fetchRange } }
}
