import path from 'node:path'
import type { DirectCommitAnswer, DirectGetAnswer, DirectPutAnswer, RemoteInfo } from '@cairn/protocol/api'
import type { Digest } from '@cairn/protocol/digest'
import { type CairnError, isCode } from '@cairn/protocol/error'
import { type Bucket, type BucketOptions, openServerBucket } from './bucket.ts'
import { type DirectJournal, openDirectJournal } from './direct-journal.ts'
import type { HttpClient } from './http-client.ts'

export interface DirectPut {
  digest: Digest
  size: number
  /** In hex. */
  sha256: string
}

/** A place in the bucket for one object, and the client to send it with. */
export interface DirectPlace {
  upload: string
  url: string
  headers: Readonly<Record<string, string>>
  bucket: HttpClient
}

/** The requests that go before and after those to the bucket, one function each. They throw what HttpClient throws. */
export interface DirectApi {
  /** Whether it is worth asking. */
  offers(way: 'put' | 'get'): boolean
  /** undefined: it has to go another way. `present`: somebody else has sent it meanwhile. */
  place(object: DirectPut, options: { session: string; signal: AbortSignal }): Promise<DirectPlace | 'present' | undefined>
  commit(digest: Digest, upload: string, options: { session: string; signal: AbortSignal }): Promise<void>
  /** undefined: it has to come another way. @throws CairnError OBJECT_UNKNOWN */
  source(digest: Digest, signal: AbortSignal): Promise<{ url: string; bucket: HttpClient } | undefined>
  /** Says why one object went another way; when the line broke, the others do too. */
  failed(digest: Digest, error: CairnError): void
  readonly journal: DirectJournal
  close(): void
}

export function createDirectApi(http: HttpClient, info: RemoteInfo, options: BucketOptions): DirectApi {
  const bucket: Bucket = openServerBucket(options)
  let withdrawn = false

  const ask = async <T>(what: string, body: unknown, query: string, signal: AbortSignal): Promise<T | undefined> => {
    const bytes = Buffer.from(JSON.stringify(body))
    const path = `${info.base}/objects/direct/${what}${query}`
    try {
      return await http.json<T>({ method: 'POST', path, headers: JSON_BODY, body: () => bytes, signal })
    } catch (error) {
      // What a server said about itself is believed for a day, and it may have changed its mind.
      if (!isCode(error, 'NOT_FOUND')) throw error
      withdrawn = true
      return undefined
    }
  }

  return {
    journal: openDirectJournal(path.join(options.dir, 'under-way')),
    offers: (way) => !withdrawn && info.capabilities.includes(`direct-${way}`) && bucket.mayTry(),

    async place(object, { session, signal }) {
      const answer = await ask<DirectPutAnswer>('put', { objects: [object] }, `?session=${session}`, signal)
      if (answer === undefined) return undefined
      const [upload] = answer.uploads
      if (upload === undefined) return 'present'
      const reached = await bucket.reach(upload.url, answer.check, signal)
      return reached && { upload: upload.upload, url: upload.url, headers: upload.headers, bucket: reached }
    },

    async commit(digest, upload, { session, signal }) {
      await ask<DirectCommitAnswer>('commit', { uploads: [{ digest, upload }] }, `?session=${session}`, signal)
    },

    async source(digest, signal) {
      const answer = await ask<DirectGetAnswer>('get', { digests: [digest] }, '', signal)
      const [object] = answer?.objects ?? []
      if (answer === undefined || object?.url === undefined) return undefined
      const reached = await bucket.reach(object.url, answer.check, signal)
      return reached && { url: object.url, bucket: reached }
    },

    failed(digest, error) {
      if (isCode(error, 'UNREACHABLE')) bucket.leave(error.message)
      else options.say(`${digest}: not by way of the bucket: ${error.message}`)
    },

    close: () => bucket.close(),
  }
}

const JSON_BODY = { 'content-type': 'application/json' }
