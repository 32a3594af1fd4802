import { Readable } from 'node:stream'
import { type Digest, digestOfPath, isTree, objectPath } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { MAX_RUN_BYTES, type RunName, runOfPath, runPath } from '@cairn/protocol/run-name'
import type { ObjectSink } from '../cache/object-sink.ts'
import { filePieces } from '../io/file-pieces.ts'
import { mapLimit } from '../io/limit.ts'
import { createMeter } from './meter.ts'
import { type Failures, type Outgoing, type SourceCache, takeAllSound, takeFiles, takeSound, withoutFailed } from './outgoing.ts'
import type { FetchResult, LocalTree, OnObject, PushResult, Remote, RemoteRuns, TransferOptions } from './remote.ts'
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

/** A bucket in dvc's layout: files before the tree that vouches for them, whatever comes is verified. */
export function createS3Remote(options: S3RemoteOptions): Remote {
  const tally = { requests: 0 }
  const wires: Wires = { ...options, tally, keyOf: (digest) => options.bucket.prefix + objectPath(digest) }
  const find = (digests: Iterable<Digest>, transfer: TransferOptions) => findMissing(wires, digests, transfer)
  return {
    name: options.name,
    url: options.url,
    findMissing: find,
    findMissingFiles: find,
    push: (trees, files, transfer) => push(wires, trees, files, transfer),
    fetch: (digests, sink, transfer) => fetchAll(wires, digests, sink, transfer),
    runs: bucketRuns(wires),
    close: () => Promise.resolve(),
  }
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

async function findMissing(wires: Wires, asked: Iterable<Digest>, transfer: TransferOptions): Promise<Set<Digest>> {
  const digests = new Set(asked)
  if (digests.size > ASKED_ONE_BY_ONE) return withoutListed(wires, digests, transfer.signal)
  const missing = new Set<Digest>()
  await mapLimit(digests, transfer.jobs ?? wires.jobs, async (digest) => {
    if (!(await isPresent(wires, digest, transfer.signal))) missing.add(digest)
  })
  return missing
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

async function push(
  wires: Wires,
  trees: readonly LocalTree[],
  files: readonly Digest[],
  transfer: TransferOptions,
): Promise<PushResult> {
  const before = wires.tally.requests
  const failures: Failures = new Map()
  const missing = await findMissing(wires, [...trees.map((tree) => tree.digest), ...files], transfer)
  const missingTrees = trees.filter((tree) => missing.has(tree.digest))
  const entries = missingTrees.flatMap((tree) => takeFiles(tree, failures) ?? [])
  const wanted = new Set([...(await findMissing(wires, entries, transfer)), ...files.filter((digest) => missing.has(digest))])
  const objects = await takeAllSound(wires.cache, wanted, failures, transfer.signal)
  const jobs = transfer.jobs ?? wires.jobs
  const meter = createMeter(transfer.report, 'Pushing')
  meter.plan(objects.reduce((sum, object) => sum + object.size, 0))
  const sent: Outgoing[] = []
  const send = async (object: Outgoing) => {
    await upload(wires, object, transfer.signal)
    meter.body().add(object.size)
    sent.push(object)
  }
  try {
    await mapLimit(objects, jobs, send)
    await mapLimit(withoutFailed(missingTrees, failures), jobs, async (tree) => {
      const object = takeSound(wires.cache, tree.digest, failures)
      if (object) await send(object)
    })
  } finally {
    meter.end()
  }
  return {
    pushed: sent.length,
    bytes: sent.reduce((sum, object) => sum + object.size, 0),
    requests: wires.tally.requests - before,
    failed: [...failures.values()],
  }
}

async function upload(wires: Wires, object: Outgoing, signal: AbortSignal): Promise<void> {
  const client = await wires.bucket.client()
  await ask(wires, wires.url, signal, () => {
    const body = Readable.from(filePieces(object.path, PIECE_BYTES, signal), { objectMode: false })
    return client.putObject(wires.bucket.bucket, wires.keyOf(object.digest), body, object.size)
  })
}

async function fetchAll(
  wires: Wires,
  digests: readonly Digest[],
  sink: ObjectSink,
  transfer: TransferOptions & { onObject?: OnObject },
): Promise<FetchResult> {
  const before = wires.tally.requests
  const wanted = new Set(digests)
  const result: FetchResult = { bytes: 0, requests: 0, failed: [] }
  let done = 0
  try {
    await mapLimit(wanted, transfer.jobs ?? wires.jobs, async (digest) => {
      const outcome = await fetchOne(wires, digest, sink, transfer.signal)
      if (typeof outcome === 'number') result.bytes += outcome
      if (outcome === 'damaged') {
        const message = `its bytes in the bucket do not hash to it${isTree(digest) ? ' (a folder)' : ''}`
        result.failed.push({ digest, reason: 'damaged', message })
      } else transfer.onObject?.(digest, outcome === 'absent' ? 'absent' : 'transferred')
      transfer.report({ type: 'progress', task: 'Fetching', done: ++done, total: wanted.size, unit: 'files' })
    })
  } finally {
    transfer.report({ type: 'progress-end', task: 'Fetching' })
  }
  return { ...result, requests: wires.tally.requests - before }
}

async function fetchOne(
  wires: Wires,
  digest: Digest,
  sink: ObjectSink,
  signal: AbortSignal,
): Promise<number | 'absent' | 'damaged'> {
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
    if (isMissing(error)) return 'absent'
    if (isCode(error, 'DIGEST_MISMATCH')) return 'damaged'
    throw error
  }
}
