import { createReadStream } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createGunzip, createGzip, gunzip, gzip, gzipSync } from 'node:zlib'
import type { TreeAnswer } from '@cairn/protocol/api'
import { type Digest, parseDigest, unpackDigests } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { DIGESTS_TYPE, MAX_TREE_DELTA_BYTES, TREE_DELTA_TYPE } from '@cairn/protocol/limits'
import type { HttpClient } from './http-client.ts'
import { readBytes, readText } from './http-exchange.ts'
import type { PathOf } from './uploads-api.ts'

/** Listings are half hex digits, which the fast levels press as well as the slow ones. */
const FAST = { level: 1 }
/** Below, gzip gains nothing. */
const WORTH_GZIP_BYTES = 1024
/** Below, another thread costs more than the work. */
const WORTH_THREAD_BYTES = 64 * 1024

export interface SendOptions {
  session: string
  signal: AbortSignal
}

/** What the server has of a tree's delta's base. */
export interface TreeDelta {
  base: Digest
  delta: Uint8Array
}

export interface TreeApi {
  /** Resolves with what of it the server lacks, in the tree's order. */
  send(tree: { digest: Digest; path: string }, options: SendOptions): Promise<Digest[]>
  sendDelta(digest: Digest, delta: TreeDelta, options: SendOptions): Promise<Digest[]>
  /**
   * The tree as a difference to one of `bases`, or whole: then `onWhole` gets the bytes as they arrive, once an attempt.
   * undefined when it came whole, or the project has no such tree.
   */
  get(
    digest: Digest,
    bases: readonly Digest[],
    options: { onWhole: (bytes: AsyncIterable<Uint8Array>) => Promise<void>; signal: AbortSignal },
  ): Promise<TreeDelta | undefined>
}

export function createTreeApi(http: HttpClient, at: PathOf): TreeApi {
  const post = (path: string, headers: Record<string, string>, body: Uint8Array, signal: AbortSignal) =>
    http.send({ method: 'POST', path, headers: { ...headers, accept: DIGESTS_TYPE }, body: () => body, signal }, readMissing)
  return {
    async send({ digest, path }, { session, signal }) {
      const body = await compressFile(path)
      return post(
        at('trees', { digest, session }),
        { 'content-type': 'application/json', 'content-encoding': 'gzip' },
        body,
        signal,
      )
    },
    async sendDelta(digest, { base, delta }, { session, signal }) {
      const worth = delta.length >= WORTH_GZIP_BYTES
      const headers = { 'content-type': TREE_DELTA_TYPE, ...(worth && { 'content-encoding': 'gzip' }) }
      return post(at('trees', { digest, base, session }), headers, worth ? await compress(delta) : delta, signal)
    },
    get(digest, bases, { onWhole, signal }) {
      const path = at(`trees/${digest}`, { base: bases.join(',') })
      const request = { method: 'GET', path, headers: { 'accept-encoding': 'gzip' }, signal, accept: [404, 405, 410] } as const
      return http.send(request, async (answer) => {
        if (answer.statusCode !== 200) return undefined
        if (answer.headers['content-type'] === TREE_DELTA_TYPE) return readDelta(answer)
        if (answer.headers['content-encoding'] !== 'gzip') await onWhole(answer as AsyncIterable<Uint8Array>)
        else await pipeline(answer, createGunzip(), onWhole)
        return undefined
      })
    },
  }
}

const compress = (bytes: Uint8Array): Promise<Uint8Array> | Uint8Array =>
  bytes.length < WORTH_THREAD_BYTES ? gzipSync(bytes, FAST) : promisify(gzip)(bytes, FAST)

async function compressFile(path: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  await pipeline(
    createReadStream(path, { highWaterMark: 256 * 1024 }),
    createGzip(FAST),
    async (packed: AsyncIterable<Buffer>) => {
      for await (const piece of packed) pieces.push(piece)
    },
  )
  return Buffer.concat(pieces)
}

/** Packed, or from an older server as JSON. */
async function readMissing(answer: IncomingMessage): Promise<Digest[]> {
  if (answer.headers['content-type'] === DIGESTS_TYPE) return unpackDigests(await readBytes(answer))
  const { missing } = parseAnswer(await readText(answer))
  return missing.map((digest) => parseDigest(String(digest)))
}

function parseAnswer(text: string): Pick<TreeAnswer, 'missing'> {
  try {
    const answer = JSON.parse(text) as TreeAnswer
    if (Array.isArray(answer.missing)) return answer
  } catch {
    // Told below: what is no JSON has no list either.
  }
  throw new CairnError('REMOTE_FAILED', 'the answer to a tree has no list of digests', { exit: 1 })
}

async function readDelta(answer: IncomingMessage): Promise<TreeDelta> {
  const base = parseDigest(String(answer.headers['cairn-base']))
  const bytes = await readBytes(answer, MAX_TREE_DELTA_BYTES + 1)
  if (answer.headers['content-encoding'] !== 'gzip') return { base, delta: bytes }
  return { base, delta: await promisify(gunzip)(bytes, { maxOutputLength: MAX_TREE_DELTA_BYTES }) }
}
