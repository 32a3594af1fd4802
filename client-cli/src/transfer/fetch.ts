import { type Digest, isTree } from '@cairn/protocol/digest'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { ObjectSink } from '../cache/object-sink.ts'
import type { Remote, TransferFailure, TransferOptions } from '../remote/remote.ts'
import { entriesInside, type Output, readEntries, refuseUnknownPaths } from './expand.ts'
import { type Left, nameFailures } from './outcome.ts'

export interface FetchOutputs {
  /** Called when something has to be fetched at all. */
  open: () => Promise<Remote>
  cache: ObjectCache
  outputs: readonly Output[]
  options: TransferOptions
  /** Where the files go: the cache, or what puts them there and does more with them. Asked for when the trees are in the cache. */
  sink?: (() => ObjectSink) | undefined
}

export interface FetchedOutputs {
  /** Objects, directories' listings included. */
  fetched: number
  bytes: number
  requests: number
  left: Left[]
}

/** Brings what the cache lacks of these outputs: the trees first, which say what else. What is nowhere is named, everything else comes. */
export async function fetchOutputs(request: FetchOutputs): Promise<FetchedOutputs> {
  const { cache, outputs } = request
  const total = { fetched: 0, bytes: 0, requests: 0, failed: [] as TransferFailure[] }
  const trees = new Set(outputs.map((output) => output.digest).filter((digest) => isTree(digest)))
  const unread = [...trees].filter((tree) => readEntries(cache, tree) === undefined)
  await bring(request, unread, cache, total)
  refuseUnknownPaths(outputs, cache)

  const files = new Set<Digest>()
  for (const output of outputs) {
    if (!isTree(output.digest)) files.add(output.digest)
    else for (const entry of entriesInside(readEntries(cache, output.digest) ?? [], output.inside)) files.add(entry.digest)
  }
  const lacking = cache.missing([...files])
  await bring(request, lacking, (lacking.length > 0 && request.sink?.()) || cache, total)
  const { fetched, bytes, requests, failed } = total
  return { fetched, bytes, requests, left: nameFailures(failed, outputs, cache) }
}

async function bring(
  { open, options }: FetchOutputs,
  digests: readonly Digest[],
  sink: ObjectSink,
  total: { fetched: number; bytes: number; requests: number; failed: TransferFailure[] },
): Promise<void> {
  if (digests.length === 0) return
  const remote = await open()
  const { bytes, requests, failed } = await remote.fetch(digests, sink, {
    ...options,
    onObject(digest, outcome) {
      if (outcome === 'transferred') total.fetched++
      else total.failed.push({ digest, reason: 'missing', message: 'it is neither in the cache nor on the remote' })
    },
  })
  total.bytes += bytes
  total.requests += requests
  total.failed.push(...failed)
}
