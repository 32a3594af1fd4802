import { type Digest, objectPath } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { ObjectSink } from '../cache/object-sink.ts'
import { mapLimit } from '../io/limit.ts'
import { fileBody } from './bodies.ts'
import type { HttpClient } from './http-client.ts'
import { createMeter, type Meter } from './meter.ts'
import {
  type Failures,
  noteUnsound,
  type Outgoing,
  type SourceCache,
  takeAllSound,
  takeFiles,
  takeSound,
  withoutFailed,
} from './outgoing.ts'
import type { FetchResult, LocalTree, OnObject, PushResult, Remote, TransferOptions } from './remote.ts'

export interface DvcHttpRemoteOptions {
  name: string
  url: string
  /** `method = PUT` of the remote's options. */
  method: 'POST' | 'PUT'
  jobs: number
  /** Closed with the remote. */
  http: HttpClient
  cache: SourceCache
}

interface Wires extends DvcHttpRemoteOptions {
  pathTo(digest: Digest): string
}

/**
 * A plain HTTP server as stock dvc uses it: one request an object, in dvc's layout. Unlike stock, uploads are tried again,
 * whatever is received is verified, and only 404 and 410 mean "absent": a sick server is an error, not an empty one.
 */
export function createDvcHttpRemote(options: DvcHttpRemoteOptions): Remote {
  const { name, url, http } = options
  const folder = new URL(url).pathname.replace(/\/$/, '')
  const wires: Wires = { ...options, pathTo: (digest) => `${folder}/${objectPath(digest)}` }
  const counted = async <T>(work: () => Promise<T>): Promise<T & { requests: number }> => {
    const before = http.requests
    const result = await work()
    return { ...result, requests: http.requests - before }
  }
  return {
    name,
    url,
    findMissing: (digests, transfer) => findMissing(wires, digests, transfer),
    findMissingFiles: (digests, transfer) => findMissing(wires, digests, transfer),
    push: (trees, files, transfer) => counted(() => push(wires, trees, files, transfer)),
    fetch: (digests, sink, transfer) => counted(() => fetchAll(wires, digests, sink, transfer)),
    runs: undefined,
    close: () => Promise.resolve(http.close()),
  }
}

async function findMissing(wires: Wires, digests: Iterable<Digest>, transfer: TransferOptions): Promise<Set<Digest>> {
  const missing = new Set<Digest>()
  await mapLimit(new Set(digests), transfer.jobs ?? wires.jobs, async (digest) => {
    if (!(await isPresent(wires, digest, transfer.signal))) missing.add(digest)
  })
  return missing
}

const NO_HEAD = [405, 501]
const ABSENT = [404, 410]

async function isPresent({ http, pathTo }: Wires, digest: Digest, signal: AbortSignal): Promise<boolean> {
  const path = pathTo(digest)
  const status = await http.send({ method: 'HEAD', path, signal, accept: [...ABSENT, ...NO_HEAD] }, (answer) =>
    Promise.resolve(answer.statusCode ?? 0),
  )
  if (!NO_HEAD.includes(status)) return !ABSENT.includes(status)
  return http.send({ method: 'GET', path, signal, accept: ABSENT }, (answer) =>
    Promise.resolve(!ABSENT.includes(answer.statusCode ?? 0)),
  )
}

interface Run {
  wires: Wires
  transfer: TransferOptions
  jobs: number
  failures: Failures
  meter: Meter
  pushed: number
  bytes: number
}

/** Files first, then the trees whose files are all there: nothing on such a server checks the order but us. */
async function push(
  wires: Wires,
  trees: readonly LocalTree[],
  files: readonly Digest[],
  transfer: TransferOptions,
): Promise<Omit<PushResult, 'requests'>> {
  const meter = createMeter(transfer.report, 'Pushing')
  const run: Run = { wires, transfer, jobs: transfer.jobs ?? wires.jobs, failures: new Map(), meter, pushed: 0, bytes: 0 }
  const missing = await findMissing(wires, [...trees.map((tree) => tree.digest), ...files], transfer)
  const missingTrees = trees.filter((tree) => missing.has(tree.digest))
  const entries = missingTrees.flatMap((tree) => takeFiles(tree, run.failures) ?? [])
  const wanted = new Set([...(await findMissing(wires, entries, transfer)), ...files.filter((digest) => missing.has(digest))])
  try {
    const objects = await takeAllSound(wires.cache, wanted, run.failures, transfer.signal)
    meter.plan(objects.reduce((sum, object) => sum + object.size, 0))
    await mapLimit(objects, run.jobs, (object) => upload(run, object))
    await mapLimit(withoutFailed(missingTrees, run.failures), run.jobs, async (tree) => {
      const object = takeSound(wires.cache, tree.digest, run.failures)
      if (object) await upload(run, object)
    })
  } finally {
    meter.end()
  }
  return { pushed: run.pushed, bytes: run.bytes, failed: [...run.failures.values()] }
}

async function upload(run: Run, object: Outgoing): Promise<void> {
  const { wires, transfer, failures } = run
  const count = run.meter.body()
  const body = () => {
    count.restart()
    return fileBody(object, (bytes) => count.add(bytes))
  }
  const headers = { 'content-type': 'application/octet-stream' }
  try {
    const path = wires.pathTo(object.digest)
    await wires.http.send({ method: wires.method, path, headers, body, signal: transfer.signal }, () => Promise.resolve())
    run.pushed++
    run.bytes += object.size
  } catch (error) {
    if (isCode(error, 'CACHE_DAMAGED')) noteUnsound(object.digest, true, failures)
    else if (isAboutObject(error))
      failures.set(object.digest, { digest: object.digest, reason: 'refused', message: (error as Error).message })
    else throw error
  }
}

/** What a server may hold against one object. Anything else would meet the next object as well. */
function isAboutObject(error: unknown): boolean {
  if (isCode(error, 'DIGEST_MISMATCH', 'DIGEST_CONFLICT', 'TREE_INCOMPLETE', 'BAD_TREE', 'BODY_TOO_LARGE')) return true
  return (
    error instanceof CairnError && error.code === 'REMOTE_FAILED' && [400, 409, 413, 422].includes(Number(error.data?.['status']))
  )
}

async function fetchAll(
  wires: Wires,
  digests: readonly Digest[],
  sink: ObjectSink,
  transfer: TransferOptions & { onObject?: OnObject },
): Promise<Omit<FetchResult, 'requests'>> {
  const wanted = new Set(digests)
  const result: Omit<FetchResult, 'requests'> = { bytes: 0, failed: [] }
  let done = 0
  try {
    await mapLimit(wanted, transfer.jobs ?? wires.jobs, async (digest) => {
      const bytes = await fetchOne(wires, digest, sink, { transfer, result })
      if (bytes !== 'failed') transfer.onObject?.(digest, bytes === 'absent' ? 'absent' : 'transferred')
      transfer.report({ type: 'progress', task: 'Fetching', done: ++done, total: wanted.size, unit: 'files' })
    })
  } finally {
    transfer.report({ type: 'progress-end', task: 'Fetching' })
  }
  return result
}

const TRIES = 2

async function fetchOne(
  { http, pathTo }: Wires,
  digest: Digest,
  sink: ObjectSink,
  { transfer, result }: { transfer: TransferOptions; result: Omit<FetchResult, 'requests'> },
): Promise<'stored' | 'absent' | 'failed'> {
  for (let tries = 1; ; tries++) {
    try {
      const download = await http.download({ path: pathTo(digest), signal: transfer.signal })
      if (!download) return 'absent'
      const bytes = await sink.storeStream(digest, download.bytes, transfer.signal)
      result.bytes += bytes
      return 'stored'
    } catch (error) {
      if (isCode(error, 'OBJECT_UNKNOWN')) return 'absent'
      if (!isCode(error, 'DIGEST_MISMATCH')) throw error
      if (tries < TRIES) continue
      result.failed.push({ digest, reason: 'damaged', message: (error as Error).message })
      return 'failed'
    }
  }
}
