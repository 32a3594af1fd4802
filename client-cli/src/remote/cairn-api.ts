import type { CommitAnswer, ObjectAnswer, PackAnswer, RemoteInfo } from '@cairn/protocol/api'
import { type Digest, packDigests, parseDigest, unpackDigests } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { type Capability, DIGESTS_TYPE, PACK_TYPE, SESSION_HEADER } from '@cairn/protocol/limits'
import { PackParser, type PackRecord } from '@cairn/protocol/pack'
import type { Download, HttpClient } from './http-client.ts'
import { type HttpBody, readBytes } from './http-exchange.ts'
import { createFetchRange, type FetchRange } from './range-api.ts'
import { createTreeApi, type TreeApi } from './tree-api.ts'
import { createUploadsApi, type UploadsApi } from './uploads-api.ts'

export interface Question {
  intent: 'push' | 'pull'
  session: string | undefined
  signal: AbortSignal
}

/** The native protocol's requests, one function each. All may be repeated. They throw what HttpClient throws. */
export interface CairnApi {
  readonly limits: RemoteInfo['limits']
  /** Whether the server offers something beyond version 1's requests. */
  can(capability: Capability): boolean
  /** As HttpClient.onWait. */
  onWait: HttpClient['onWait']
  /** Asks in as many requests as the limit on digests makes of it, in one session. */
  missing(digests: readonly Digest[], question: Question): Promise<{ session: string; missing: Set<Digest> }>
  sendPack(body: () => HttpBody, options: { session: string; signal: AbortSignal }): Promise<PackAnswer>
  sendObject(digest: Digest, body: () => HttpBody, options: { session: string; signal: AbortSignal }): Promise<ObjectAnswer>
  commit(roots: readonly Digest[], options: { session: string; signal: AbortSignal }): Promise<Digest[]>
  /** `digests` is asked for once an attempt, so that a repetition wants only the rest. A record's payload is gone after the call. */
  fetch(digests: () => readonly Digest[], onRecord: (record: PackRecord) => void, signal: AbortSignal): Promise<void>
  /** undefined when the project has no such object, or a damaged one. */
  download(digest: Digest, signal: AbortSignal): Promise<Download | undefined>
  trees: TreeApi
  fetchRange: FetchRange
  uploads: UploadsApi
}

export function createCairnApi(http: HttpClient, info: RemoteInfo): CairnApi {
  const at = (path: string, query: Record<string, string | undefined> = {}) => {
    const pairs = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined)
    return `${info.base}/${path}${pairs.length > 0 ? `?${new URLSearchParams(pairs).toString()}` : ''}`
  }

  return {
    limits: info.limits,
    onWait: (listener) => http.onWait(listener),
    can: (capability) => info.capabilities.includes(capability),

    async missing(digests, { intent, session, signal }) {
      const missing = new Set<Digest>()
      let current = session
      for (let from = 0; from === 0 || from < digests.length; from += info.limits.digests) {
        const packed = packDigests(digests.slice(from, from + info.limits.digests))
        const headers = { 'content-type': DIGESTS_TYPE, accept: DIGESTS_TYPE }
        const path = at('objects/missing', { intent, session: current })
        const answer = await http.send({ method: 'POST', path, headers, body: () => packed, signal }, async (incoming) => ({
          session: incoming.headers[SESSION_HEADER],
          digests: unpackDigests(await readBytes(incoming)),
        }))
        if (typeof answer.session !== 'string') throw notCairn(http, 'an answer without a session')
        current = answer.session
        for (const digest of answer.digests) missing.add(digest)
      }
      return { session: current as string, missing }
    },

    sendPack: (body, { session, signal }) =>
      http.json<PackAnswer>({
        method: 'POST',
        path: at('packs', { session }),
        headers: { 'content-type': PACK_TYPE },
        body,
        signal,
      }),

    sendObject: (digest, body, { session, signal }) => {
      const headers = { 'content-type': 'application/octet-stream' }
      return http.json<ObjectAnswer>({ method: 'PUT', path: at(`objects/${digest}`, { session }), headers, body, signal })
    },

    async commit(roots, { session, signal }) {
      const body = Buffer.from(JSON.stringify({ roots }))
      const headers = { 'content-type': 'application/json' }
      const answer = await http.json<CommitAnswer>({
        method: 'POST',
        path: at(`sessions/${session}/commit`),
        headers,
        body: () => body,
        signal,
      })
      return parseDigests(answer.linked)
    },

    fetch: (digests, onRecord, signal) => {
      const headers = { 'content-type': DIGESTS_TYPE, accept: PACK_TYPE }
      const path = at('objects/fetch')
      return http.send({ method: 'POST', path, headers, body: () => packDigests(digests()), signal }, async (answer) => {
        const parser = new PackParser(onRecord)
        for await (const chunk of answer as AsyncIterable<Uint8Array>) parser.push(chunk)
        parser.end()
      })
    },

    download: (digest, signal) => http.download({ path: at(`objects/${digest}`), signal }),
    trees: createTreeApi(http, at),
    fetchRange: createFetchRange(http, at),
    uploads: createUploadsApi(http, at),
  }
}

function parseDigests(list: unknown): Digest[] {
  if (!Array.isArray(list)) throw new CairnError('REMOTE_FAILED', 'the answer has no list of digests', { exit: 1 })
  return list.map((digest) => parseDigest(String(digest)))
}

export const notCairn = (http: HttpClient, what: string): CairnError =>
  new CairnError('REMOTE_FAILED', `${http.base.origin}: ${what}; this is not the Cairn server that it was`, {
    exit: 1,
    hint: "Check the remote's url with 'cairn remote list'.",
  })
