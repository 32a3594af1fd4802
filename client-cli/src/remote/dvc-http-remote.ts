import { type Digest, objectPath } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { fileBody } from './bodies.ts'
import type { HttpClient } from './http-client.ts'
import { askHead } from './http-head.ts'
import type { SourceCache } from './outgoing.ts'
import { createPlainRemote } from './plain-remote.ts'
import type { Remote } from './remote.ts'

export interface DvcHttpRemoteOptions {
  name: string
  url: string
  /** `method = PUT` of the remote's options. */
  method: 'POST' | 'PUT'
  jobs: number
  /** Closed with the remote. */
  http: HttpClient
  cache: SourceCache
}

/**
 * A plain HTTP server as stock dvc uses it: one request an object, in dvc's layout. Unlike stock, uploads are tried again,
 * whatever is received is verified, and only 404 and 410 mean "absent": a sick server is an error, not an empty one.
 */
export function createDvcHttpRemote({ name, url, method, jobs, http, cache }: DvcHttpRemoteOptions): Remote {
  const folder = new URL(url).pathname.replace(/\/$/, '')
  const pathTo = (digest: Digest) => `${folder}/${objectPath(digest)}`
  return createPlainRemote({
    name,
    url,
    jobs,
    cache,
    isPresent: async (digest, signal) => (await askHead(http, pathTo(digest), signal)) !== undefined,
    async send(object, count, signal) {
      const body = () => {
        count.restart()
        return fileBody(object, (bytes) => count.add(bytes))
      }
      const headers = { 'content-type': 'application/octet-stream' }
      await http.send({ method, path: pathTo(object.digest), headers, body, signal }, () => Promise.resolve())
    },
    async bring(digest, sink, signal) {
      try {
        const download = await http.download({ path: pathTo(digest), signal })
        return download && (await sink.storeStream(digest, download.bytes, signal))
      } catch (error) {
        if (isCode(error, 'OBJECT_UNKNOWN')) return undefined
        throw error
      }
    },
    requests: () => http.requests,
    runs: undefined,
    close: () => Promise.resolve(http.close()),
  })
}
