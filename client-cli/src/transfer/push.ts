import { isTree } from '@cairn/protocol/digest'
import type { ObjectCache } from '../cache/object-cache.ts'
import { localTree } from '../remote/outgoing.ts'
import type { Remote, TransferOptions } from '../remote/remote.ts'
import type { Output } from './expand.ts'
import { type Left, nameFailures } from './outcome.ts'

export interface Transfer {
  remote: Remote
  cache: ObjectCache
  outputs: readonly Output[]
  options: TransferOptions
}

export interface PushedOutputs {
  /** Objects, directories' listings included. */
  pushed: number
  bytes: number
  requests: number
  left: Left[]
}

/** Sends what the remote lacks of these outputs. What cannot be sent is named, everything else goes. */
export async function pushOutputs({ remote, cache, outputs, options }: Transfer): Promise<PushedOutputs> {
  const digests = [...new Set(outputs.map((output) => output.digest))]
  const trees = digests.filter((digest) => isTree(digest)).map((digest) => localTree(cache, digest))
  const files = digests.filter((digest) => !isTree(digest))
  const { pushed, bytes, requests, failed } = await remote.push(trees, files, options)
  return { pushed, bytes, requests, left: nameFailures(failed, outputs, cache) }
}
