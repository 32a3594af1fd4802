import { type Digest, isTree } from '@cairn/protocol/digest'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { ObjectSink } from '../cache/object-sink.ts'
import type { Remote, TransferFailure, TransferOptions } from '../remote/remote.ts'
import { filesInside, type Output, refuseUnknownPaths } from './expand.ts'
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
  const files = new Set<Digest>()
  const unread = outputs.filter((output) => !addFiles(cache, output, files))
  await bring(request, [...new Set(unread.map((output) => output.digest))], cache, total)
  refuseUnknownPaths(outputs, cache)
  for (const output of unread) addFiles(cache, output, files)
  const lacking = cache.missing([...files])
  await bring(request, lacking, (lacking.length > 0 && request.sink?.()) || cache, total)
  const { fetched, bytes, requests, failed } = total
  return { fetched, bytes, requests, left: nameFailures(failed, outputs, cache) }
}

/** False when the output's tree is not in the cache. */
function addFiles(cache: ObjectCache, output: Output, files: Set<Digest>): boolean {
  const inside = isTree(output.digest) ? filesInside(cache, output) : [output.digest]
  for (const file of inside ?? []) files.add(file)
  return inside !== undefined
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
