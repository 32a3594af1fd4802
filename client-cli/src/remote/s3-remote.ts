import { Readable } from 'node:stream'
import { type Digest, digestOfPath, objectPath } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { MAX_RUN_BYTES, type RunName, runOfPath, runPath } from '@cairn/protocol/run-name'
import type { ObjectSink } from '../cache/object-sink.ts'
import { filePieces } from '../io/file-pieces.ts'
import { mapLimit } from '../io/limit.ts'
import type { BodyCount } from './meter.ts'
import type { Outgoing, SourceCache } from './outgoing.ts'
import { createPlainRemote } from './plain-remote.ts'
import type { Remote, RemoteRuns, TransferOptions } from './remote.ts'
import { isMissing, listKeys, type S3Bucket, s3Error } from './s3-bucket.ts'

export interface S3RemoteOptions {
  name: string
  url: string
  bucket: S3Bucket
  cache: SourceCache
  jobs: number
}

interface Wires extends S3RemoteOptions {
  keyOf(digest: Digest): string
  tally: { requests: number }
}

/** More questions than this are answered quicker by listing what is there. */
const ASKED_ONE_BY_ONE = 300
const TRIES = 3
const PIECE_BYTES = 256 * 1024

/** A bucket in dvc's layout. */
export function createS3Remote(options: S3RemoteOptions): Remote {
  const { name, url, cache, jobs } = options
  const tally = { requests: 0 }
  const wires: Wires = { ...options, tally, keyOf: (digest) => options.bucket.prefix + objectPath(digest) }
  return createPlainRemote({
    name,
    url,
    cache,
    jobs,
    isPresent: (digest, signal) => isPresent(wires, digest, signal),
    findMissing: (digests, signal) => (digests.size > ASKED_ONE_BY_ONE ? withoutListed(wires, digests, signal) : undefined),
    send: (object, count, signal) => send(wires, object, count, signal),
    bring: (digest, sink, signal) => bring(wires, digest, sink, signal),
    requests: () => tally.requests,
    runs: bucketRuns(wires),
    close: () => Promise.resolve(),
  })
}

/** One request, tried again when it failed in passing. */
async function ask<T>({ tally }: Wires, what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted()
    tally.requests++
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      if (isMissing(error) || error instanceof CairnError) throw error
      const passing = isCode(error, 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'SlowDown', 'InternalError', 'ServiceUnavailable')
      if (!passing || tries >= TRIES) throw s3Error(error, what)
    }
  }
}

async function isPresent(wires: Wires, digest: Digest, signal: AbortSignal): Promise<boolean> {
  const client = await wires.bucket.client()
  try {
    await ask(wires, wires.url, signal, () => client.statObject(wires.bucket.bucket, wires.keyOf(digest)))
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

async function withoutListed(wires: Wires, digests: ReadonlySet<Digest>, signal: AbortSignal): Promise<Set<Digest>> {
  const missing = new Set(digests)
  const legacy = [...digests].some((digest) => digest.startsWith('legacy-'))
  for await (const { digest } of listBucket(wires.bucket, legacy ? '' : 'files/md5/', signal)) missing.delete(digest)
  return missing
}

/** The objects below a folder of the remote. */
export async function* listBucket(
  place: S3Bucket,
  below: string,
  signal: AbortSignal,
): AsyncGenerator<{ digest: Digest; key: string; size: number }> {
  for await (const { key, size } of listKeys(place, below, signal)) {
    const digest = digestOfPath(key.slice(place.prefix.length))
    if (digest !== undefined) yield { digest, key, size }
  }
}

function bucketRuns(wires: Wires): RemoteRuns {
  const { bucket, prefix, client } = wires.bucket
  const each = (names: readonly RunName[], { jobs = wires.jobs }: TransferOptions, work: (name: RunName) => Promise<void>) =>
    mapLimit(names, jobs, work).then(() => undefined)
  return {
    async list({ signal }) {
      const names = new Set<RunName>()
      for await (const { key } of listKeys(wires.bucket, 'runs/', signal)) {
        const name = runOfPath(key.slice(prefix.length))
        if (name !== undefined) names.add(name)
      }
      return names
    },
    send: (names, read, transfer) =>
      each(names, transfer, async (name) => {
        const [s3, entry] = [await client(), read(name)]
        if (!entry) return
        const body = Buffer.from(entry)
        await ask(wires, wires.url, transfer.signal, () => s3.putObject(bucket, prefix + runPath(name), body, body.length))
      }),
    bring: (names, take, transfer) =>
      each(names, transfer, async (name) => {
        const s3 = await client()
        try {
          const entry = await ask(wires, wires.url, transfer.signal, async () =>
            readShort(await s3.getObject(bucket, prefix + runPath(name)), MAX_RUN_BYTES),
          )
          if (entry) take(name, entry)
        } catch (error) {
          if (!isMissing(error)) throw error
        }
      }),
  }
}

/** undefined when it is longer. */
async function readShort(stream: Readable, limit: number): Promise<Buffer | undefined> {
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of stream as AsyncIterable<Uint8Array>) {
    size += piece.length
    if (size > limit) return undefined
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

async function send(wires: Wires, object: Outgoing, count: BodyCount, signal: AbortSignal): Promise<void> {
  const client = await wires.bucket.client()
  await ask(wires, wires.url, signal, () => {
    const body = Readable.from(filePieces(object.path, PIECE_BYTES, signal), { objectMode: false })
    return client.putObject(wires.bucket.bucket, wires.keyOf(object.digest), body, object.size)
  })
  count.add(object.size)
}

async function bring(wires: Wires, digest: Digest, sink: ObjectSink, signal: AbortSignal): Promise<number | undefined> {
  const client = await wires.bucket.client()
  try {
    return await ask(wires, wires.url, signal, async () => {
      const stream = await client.getObject(wires.bucket.bucket, wires.keyOf(digest))
      try {
        return await sink.storeStream(digest, stream as AsyncIterable<Uint8Array>, signal)
      } finally {
        stream.destroy()
      }
    })
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
