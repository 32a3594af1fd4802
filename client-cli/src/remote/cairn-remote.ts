import type { RemoteInfo } from '@cairn/protocol/api'
import type { Digest } from '@cairn/protocol/digest'
import { createCairnApi } from './cairn-api.ts'
import { fetchFromCairn } from './cairn-fetch.ts'
import { pushToCairn } from './cairn-push.ts'
import type { HttpClient } from './http-client.ts'
import type { SourceCache } from './outgoing.ts'
import type { Remote, TransferOptions } from './remote.ts'

export interface CairnRemoteOptions {
  name: string
  url: string
  /** What the server said at the remote's url. */
  info: RemoteInfo
  /** Closed with the remote. */
  http: HttpClient
  cache: SourceCache
}

/** A Cairn server: one question for any number of roots, packs for small objects. */
export function createCairnRemote({ name, url, info, http, cache }: CairnRemoteOptions): Remote {
  const api = createCairnApi(http, info)
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
    push: (trees, files, options) => counted(() => pushToCairn({ api, cache, trees, files, options })),
    fetch: (digests, sink, options) => counted(() => fetchFromCairn({ api, sink, digests, options })),
    close: () => Promise.resolve(http.close()),
  }
}
