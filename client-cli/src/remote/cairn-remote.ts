import type { RemoteInfo } from '@cairn/protocol/api'
import type { Digest } from '@cairn/protocol/digest'
import type { BucketOptions } from './bucket.ts'
import { createCairnApi } from './cairn-api.ts'
import { fetchFromCairn } from './cairn-fetch.ts'
import { pushToCairn } from './cairn-push.ts'
import { createDeltaApi } from './delta-api.ts'
import { createDirectApi } from './direct-api.ts'
import type { HttpClient } from './http-client.ts'
import type { SourceCache } from './outgoing.ts'
import type { Remote, TransferOptions } from './remote.ts'
import { createRunsApi } from './runs-api.ts'

export interface CairnRemoteOptions {
  name: string
  url: string
  /** What the server said at the remote's url. */
  info: RemoteInfo
  /** Closed with the remote. */
  http: HttpClient
  cache: SourceCache
  /** Without it nothing goes straight to the server's bucket. */
  bucket?: BucketOptions | undefined
  /** False: large objects always go whole. */
  deltas?: boolean | undefined
}

/** A Cairn server: one question for any number of roots, packs for small objects. */
export function createCairnRemote(options: CairnRemoteOptions): Remote {
  const { name, url, info, http, cache, bucket } = options
  const api = createCairnApi(http, info)
  const direct = bucket && createDirectApi(http, info, bucket)
  const deltas = options.deltas === false ? undefined : createDeltaApi(http, info, api.fetchRange)
  const ask = async (digests: readonly Digest[], { signal }: TransferOptions) => {
    if (digests.length === 0) return new Set<Digest>()
    return (await api.missing(digests, { intent: 'pull', session: undefined, signal })).missing
  }
  const counted = async <T>(work: () => Promise<T>): Promise<T & { requests: number }> => {
    const before = http.requests
    const result = await work()
    return { ...result, requests: http.requests - before }
  }
  return {
    name,
    url,
    findMissing: ask,
    findMissingFiles: ask,
    push: (trees, files, options) => counted(() => pushToCairn({ api, direct, deltas, cache, trees, files, options })),
    fetch: (digests, sink, options) => counted(() => fetchFromCairn({ api, direct, deltas, cache, sink, digests, options })),
    runs: createRunsApi(http, info),
    close() {
      direct?.close()
      return Promise.resolve(http.close())
    },
  }
}
