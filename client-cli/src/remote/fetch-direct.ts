import { CairnError, isCode } from '@cairn/protocol/error'
import { pathOf } from './bucket.ts'
import type { FetchWay } from './fetch-single.ts'

/**
 * Straight from the server's bucket; the cache verifies what comes. Whatever fails there comes through the server, which also
 * finds out about damage.
 */
export const fetchDirect: FetchWay = async ({ direct, sink, options }, digest, tally) => {
  const { signal, report } = options
  if (!direct?.offers('get')) return false
  try {
    const source = await direct.source(digest, signal)
    if (!source) return false
    const download = await source.bucket.download({ path: pathOf(source.url), signal })
    if (!download) return false
    tally.settle(digest, 'transferred', await sink.storeStream(digest, download.bytes, signal))
    return true
  } catch (error) {
    if (!(error instanceof CairnError) || isCode(error, 'CANCELLED', 'STORAGE_FULL')) throw error
    if (isCode(error, 'OBJECT_UNKNOWN')) tally.settle(digest, 'absent', 0)
    else report({ type: 'debug', text: `${digest}: not straight from the bucket: ${error.message}` })
    return isCode(error, 'OBJECT_UNKNOWN')
  }
}
