import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type S3Credentials, signature } from '../../server/src/adapters/blob-store/s3-presign.ts'

/** What a bucket fails to do. */
export interface Carelessness {
  /** Headers whose promise about the bytes it does not compare with them. */
  ignores?: readonly string[]
  /** It takes any signature, and none. */
  unsigned?: boolean
  /** It answers a range with the whole. */
  rangeless?: boolean
  /** It answers every PUT with this. */
  status?: number
}

/** The least of a bucket that a probe can ask: PUT and GET of objects in memory, by signed URLs. */
export async function startCarelessBucket(
  credentials: S3Credentials,
  careless: Carelessness,
): Promise<{ url: string; close: () => Promise<void> }> {
  const objects = new Map<string, Buffer>()
  const server = createServer((request, response) => {
    void answer(request).then(({ status, body }) => response.writeHead(status).end(body))
  })

  async function answer(request: IncomingMessage): Promise<{ status: number; body?: Buffer | string }> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const bytes = Buffer.concat(chunks)
    const url = new URL(request.url ?? '/', 'http://bucket')
    if (!careless.unsigned && !isSigned(url, request, credentials)) return refusal(403, 'SignatureDoesNotMatch')
    if (request.method === 'PUT') {
      if (careless.status !== undefined) return { status: careless.status }
      if (!keepsPromise(request, 'content-md5', 'md5', bytes)) return refusal(400, 'BadDigest')
      if (!keepsPromise(request, 'x-amz-checksum-sha256', 'sha256', bytes)) return refusal(400, 'BadDigest')
      objects.set(url.pathname, bytes)
      return { status: 200 }
    }
    const found = objects.get(url.pathname)
    if (!found) return refusal(404, 'NoSuchKey')
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    if (!range || careless.rangeless) return { status: 200, body: found }
    return { status: 206, body: found.subarray(Number(range[1]), Number(range[2]) + 1) }
  }

  function keepsPromise(request: IncomingMessage, header: string, algorithm: string, bytes: Buffer): boolean {
    if (careless.ignores?.includes(header)) return true
    return request.headers[header] === createHash(algorithm).update(bytes).digest('base64')
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))),
  }
}

const refusal = (status: number, code: string) => ({ status, body: `<Error><Code>${code}</Code></Error>` })

function isSigned(url: URL, request: IncomingMessage, credentials: S3Credentials): boolean {
  const { 'X-Amz-Signature': signed, ...query } = Object.fromEntries(url.searchParams)
  const at = new Date((query['X-Amz-Date'] ?? '').replace(/^(....)(..)(..T..)(..)/, '$1-$2-$3:$4:'))
  if (Date.now() > at.getTime() + Number(query['X-Amz-Expires']) * 1000) return false
  const names = (query['X-Amz-SignedHeaders'] ?? '').split(';')
  const headers = Object.fromEntries(names.map((name) => [name, String(request.headers[name] ?? '')]))
  const { method = '' } = request
  return signed === signature({ method, path: url.pathname, query, headers, payload: 'UNSIGNED-PAYLOAD', at }, credentials)
}
