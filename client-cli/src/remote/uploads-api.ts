import type { ObjectAnswer, PartAnswer, UploadAnswer } from '@cairn/protocol/api'
import type { Digest } from '@cairn/protocol/digest'
import type { HttpClient } from './http-client.ts'
import { type HttpBody, readText } from './http-exchange.ts'

/** Requests for objects in parts. All may be repeated. They throw what HttpClient throws. */
export interface UploadsApi {
  /** Begins an upload, or finds the one that stands for this object. */
  open(digest: Digest, size: number, options: { session: string; signal: AbortSignal }): Promise<UploadAnswer>
  sendPart(upload: string, number: number, body: () => HttpBody, signal: AbortSignal): Promise<PartAnswer>
  /** undefined: the server still hashes what it has; to be asked again. */
  complete(upload: string, options: { session: string; signal: AbortSignal }): Promise<ObjectAnswer | undefined>
  cancel(upload: string, signal: AbortSignal): Promise<void>
}

export type PathOf = (path: string, query?: Record<string, string | undefined>) => string

export function createUploadsApi(http: HttpClient, at: PathOf): UploadsApi {
  return {
    open(digest, size, { session, signal }) {
      const body = Buffer.from(JSON.stringify({ digest, size, session }))
      const headers = { 'content-type': 'application/json' }
      return http.json({ method: 'POST', path: at('uploads'), headers, body: () => body, signal })
    },
    sendPart(upload, number, body, signal) {
      const headers = { 'content-type': 'application/octet-stream' }
      return http.json({ method: 'PUT', path: at(`uploads/${upload}/parts/${number}`), headers, body, signal })
    },
    complete(upload, { session, signal }) {
      const path = at(`uploads/${upload}/complete`, { session })
      return http.send({ method: 'POST', path, signal }, async (answer) => {
        const text = await readText(answer)
        return answer.statusCode === 202 ? undefined : (JSON.parse(text) as ObjectAnswer)
      })
    },
    cancel: (upload, signal) => http.send({ method: 'DELETE', path: at(`uploads/${upload}`), signal }, () => Promise.resolve()),
  }
}
