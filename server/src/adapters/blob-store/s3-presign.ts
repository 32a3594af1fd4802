import { createHash, createHmac } from 'node:crypto'
import type { DirectAccess } from '../../domain/ports/blob-store.ts'
import { assertKey } from './key.ts'

export interface S3Credentials {
  region: string
  accessKey: string
  secretKey: string
}

export interface SignedRequest {
  method: string
  /** As it stands on the wire, percent-encoded. */
  path: string
  query: Readonly<Record<string, string>>
  /** Names in lower case. All of them are signed, `host` among them. */
  headers: Readonly<Record<string, string>>
  /** The sha256 of the body in hex, or what S3 takes instead of it. */
  payload: string
  at: Date
}

const ALGORITHM = 'AWS4-HMAC-SHA256'
// The bytes are bound by Content-MD5 and the checksum header, which are signed.
const UNSIGNED = 'UNSIGNED-PAYLOAD'

/** AWS Signature Version 4 of a request to S3, in hex. Pure. */
export function signature(request: SignedRequest, credentials: S3Credentials): string {
  const { method, path, query, headers, payload, at } = request
  const names = Object.keys(headers).toSorted()
  const canonical = [
    method,
    path,
    canonicalQuery(query),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    payload,
  ].join('\n')
  const scope = scopeOf(at, credentials.region)
  const text = [ALGORITHM, stamp(at), scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const steps = [...scope.split('/'), text]
  const last = steps.reduce<string | Buffer>(
    (key, step) => createHmac('sha256', key).update(step).digest(),
    `AWS4${credentials.secretKey}`,
  )
  return (last as Buffer).toString('hex')
}

export interface Presigning {
  method: 'GET' | 'PUT'
  /** `https://host[:port]/path`, percent-encoded. */
  url: string
  /** What the sender must send exactly so, beside `host`. Names in lower case. */
  headers: Readonly<Record<string, string>>
  /** In seconds from `at`. */
  expires: number
  at: Date
}

/** A URL that carries its own signature: whoever has it may make this one request, for so long. Pure. */
export function presign(request: Presigning, credentials: S3Credentials): string {
  const { method, url, at } = request
  const { host, pathname: path, origin } = new URL(url)
  const headers: Record<string, string> = { ...request.headers, host }
  const query = {
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': `${credentials.accessKey}/${scopeOf(at, credentials.region)}`,
    'X-Amz-Date': stamp(at),
    'X-Amz-Expires': String(request.expires),
    'X-Amz-SignedHeaders': Object.keys(headers).toSorted().join(';'),
  }
  const signed = signature({ method, path, query, headers, payload: UNSIGNED, at }, credentials)
  return `${origin}${path}?${canonicalQuery(query)}&X-Amz-Signature=${signed}`
}

/** `20130524T000000Z` */
const stamp = (at: Date): string => at.toISOString().replace(/[-:]|\.\d+/g, '')
const scopeOf = (at: Date, region: string): string => `${stamp(at).slice(0, 8)}/${region}/s3/aws4_request`

const canonicalQuery = (query: Readonly<Record<string, string>>): string =>
  Object.keys(query)
    .toSorted()
    .map((name) => `${encode(name)}=${encode(query[name] ?? '')}`)
    .join('&')

/** As S3 wants it: everything but `A-Z a-z 0-9 - . _ ~`. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

/** URLs of one bucket, path-style. `endpoint` is where clients reach it: `http(s)://host[:port]`. */
export function directAccess(place: S3Credentials & { endpoint: string; bucket: string }, now = () => new Date()): DirectAccess {
  const urlOf = (key: string): string => {
    assertKey(key)
    return `${new URL(place.endpoint).origin}/${place.bucket}/${key}`
  }
  return {
    put(key, { md5, sha256, size, expires }) {
      const bound = {
        'content-md5': Buffer.from(md5).toString('base64'),
        'x-amz-checksum-sha256': Buffer.from(sha256).toString('base64'),
      }
      const headers = { ...bound, 'content-length': String(size) }
      return { url: presign({ method: 'PUT', url: urlOf(key), headers, expires, at: now() }, place), headers: bound }
    },
    get: (key, { expires }) => presign({ method: 'GET', url: urlOf(key), headers: {}, expires, at: now() }, place),
  }
}
