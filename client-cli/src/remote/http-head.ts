import type { IncomingHttpHeaders } from 'node:http'
import type { HttpClient } from './http-client.ts'

/** What an HTTP server says when it has no such file. */
const ABSENT = [404, 410]
/** Some servers answer only GET. */
const NO_HEAD = [405, 501]

/** The headers of what stands at a path, by HEAD, or by GET where there is no HEAD; undefined when nothing stands there. */
export async function askHead(http: HttpClient, path: string, signal: AbortSignal): Promise<IncomingHttpHeaders | undefined> {
  const ask = (method: 'HEAD' | 'GET', accept: number[]) =>
    http.send({ method, path, signal, accept }, ({ statusCode = 0, headers }) => Promise.resolve({ status: statusCode, headers }))
  const first = await ask('HEAD', [...ABSENT, ...NO_HEAD])
  const { status, headers } = NO_HEAD.includes(first.status) ? await ask('GET', ABSENT) : first
  return ABSENT.includes(status) ? undefined : headers
}
