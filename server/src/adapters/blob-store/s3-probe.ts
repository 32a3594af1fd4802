import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { CairnError } from '@cairn/protocol/error'
import type { BlobStore, DirectAccess } from '../../domain/ports/blob-store.ts'
import type { S3Options } from './s3-client.ts'
import { directAccess } from './s3-presign.ts'

/** Why a way is not to be used; undefined: everything it stands on was seen to hold. */
export interface Proof {
  put: string | undefined
  get: string | undefined
}

const FOLDER = 'probe'
const ANSWER_MS = 5000
const EXPIRES = 60
const HOUR_MS = 3_600_000

interface Trial {
  /** What the bucket takes, if it does not refuse. */
  fault: string
  /** URL and headers as signed for these... */
  bound: { bytes: Uint8Array; md5?: Uint8Array; sha256?: Uint8Array; size?: number }
  /** …and what is sent. */
  sent: Uint8Array
  access?: DirectAccess
  alter?: (request: SignedPut) => SignedPut
}

type SignedPut = ReturnType<DirectAccess['put']>

/**
 * Finds out with small real objects whether the bucket honours URLs as clients will use them, at the address that they use:
 * whether it refuses what a URL was not signed for, and gives ranges. What it leaves is deleted.
 * @throws CairnError STORAGE_FAILED when the bucket does not answer: then nothing is known
 */
export async function probeDirect(options: S3Options, store: BlobStore, signal: AbortSignal): Promise<Proof> {
  const place = { ...options, endpoint: options.publicEndpoint ?? options.endpoint }
  const access = directAccess(place)
  const expired = directAccess(place, () => new Date(Date.now() - HOUR_MS))
  const keys: string[] = []
  const freshKey = (): string => {
    const key = `${FOLDER}/${randomUUID()}`
    keys.push(key)
    return key
  }
  try {
    const bytes = randomBytes(64)
    const key = freshKey()
    const taken = await sendPut(access.put(key, bind({ bytes })), bytes, signal)
    if (!isTaken(taken.status)) return sameForBoth(`it refuses a signed PUT: ${taken.status} ${taken.reason}`)
    const tried = await Promise.all(
      trials(bytes, expired).map((trial) => tryFault(trial, { access, store, key: freshKey(), signal })),
    )
    return { put: tried.find((fault) => fault !== undefined), get: await tryReads(key, bytes, { access, expired, signal }) }
  } finally {
    await store.delete(keys).catch(() => undefined)
  }
}

const sameForBoth = (why: string): Proof => ({ put: why, get: why })
const isTaken = (status: number): boolean => status >= 200 && status < 300

/** Everything that is to be refused, each wrong in one thing only. */
function trials(bytes: Buffer, expired: DirectAccess): Trial[] {
  const others = randomBytes(bytes.length)
  const longer = Buffer.concat([bytes, randomBytes(1)])
  const shorter = bytes.subarray(1)
  return [
    { fault: 'bytes with another md5', bound: { bytes: others, md5: md5(bytes) }, sent: others },
    { fault: 'bytes with another sha256', bound: { bytes: others, sha256: sha256(bytes) }, sent: others },
    { fault: 'more bytes than were signed', bound: { bytes: longer, size: bytes.length }, sent: longer },
    { fault: 'fewer bytes than were signed', bound: { bytes: shorter, size: bytes.length }, sent: shorter },
    { fault: 'an upload without its md5', bound: { bytes }, sent: bytes, alter: without('content-md5') },
    { fault: 'an upload without its sha256', bound: { bytes }, sent: bytes, alter: without('x-amz-checksum-sha256') },
    {
      fault: 'a URL for another key',
      bound: { bytes },
      sent: bytes,
      alter: ({ url, headers }) => ({ url: otherKey(url), headers }),
    },
    { fault: 'a URL that has expired', bound: { bytes }, sent: bytes, access: expired },
  ]
}

function without(name: string): (request: SignedPut) => SignedPut {
  return ({ url, headers: { [name]: _, ...headers } }) => ({ url, headers })
}

/** The same signature over a key of its own, which nobody else has either. */
const otherKey = (url: string): string => url.replace(/(\/[0-9a-f-]{36})\?/, '$1-other?')

const tampered = (url: string): string => url.replace(/.$/, (last) => (last === '0' ? '1' : '0'))

async function tryFault(
  { fault, bound, sent, access, alter = (request) => request }: Trial,
  where: { access: DirectAccess; store: BlobStore; key: string; signal: AbortSignal },
): Promise<string | undefined> {
  const { store, key, signal } = where
  const answer = await sendPut(alter((access ?? where.access).put(key, bind(bound))), sent, signal)
  if (isTaken(answer.status)) {
    await store.delete([`${key}-other`])
    return `it takes ${fault}`
  }
  return (await store.stat(key)) === undefined ? undefined : `it refuses ${fault}, and keeps them`
}

async function tryReads(
  key: string,
  bytes: Buffer,
  { access, expired, signal }: { access: DirectAccess; expired: DirectAccess; signal: AbortSignal },
): Promise<string | undefined> {
  const url = access.get(key, { expires: EXPIRES })
  const [whole, range, late, altered] = await Promise.all([
    send(url, {}, signal),
    send(url, { headers: { range: 'bytes=10-19' } }, signal),
    send(expired.get(key, { expires: EXPIRES }), {}, signal),
    send(tampered(url), {}, signal),
  ])
  if (whole.status !== 200 || !whole.body.equals(bytes)) return `a signed GET fails: ${whole.status} ${whole.reason}`
  if (range.status !== 206 || !range.body.equals(bytes.subarray(10, 20)))
    return `a GET of a range fails: ${range.status} ${range.reason}`
  if (isTaken(late.status)) return 'it takes a URL that has expired'
  return isTaken(altered.status) ? 'it does not look at the signature of a GET' : undefined
}

function bind({ bytes, ...wrong }: Trial['bound']) {
  return { md5: md5(bytes), sha256: sha256(bytes), size: bytes.length, expires: EXPIRES, ...wrong }
}

const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest()
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

const sendPut = ({ url, headers }: SignedPut, bytes: Uint8Array, signal: AbortSignal) =>
  send(url, { method: 'PUT', headers, body: Buffer.from(bytes) }, signal)

async function send(
  url: string,
  request: RequestInit,
  signal: AbortSignal,
): Promise<{ status: number; reason: string; body: Buffer }> {
  const { origin } = new URL(url)
  const failed = (why: string, cause?: unknown) => new CairnError('STORAGE_FAILED', `${origin}: ${why}`, { cause })
  try {
    const within = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
    const answer = await fetch(url, { ...request, redirect: 'manual', signal: within })
    const body = Buffer.from(await answer.arrayBuffer())
    // 501 is an answer: it does not know something that we need.
    if (answer.status >= 500 && answer.status !== 501) throw failed(`it answers ${answer.status}`)
    return { status: answer.status, reason: /<Code>([^<]+)/.exec(body.toString('latin1'))?.[1] ?? '', body }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof CairnError) throw error
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw failed(cause instanceof Error ? cause.message : String(cause), error)
  }
}
