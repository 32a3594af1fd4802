import { type Digest, isTree } from '@cairn/protocol/digest'
import type { ObjectCache } from '../cache/object-cache.ts'
import { localTree } from '../remote/outgoing.ts'
import type { Remote, TransferOptions } from '../remote/remote.ts'
import { entriesInside, type Output, refuseUnknownPaths } from './expand.ts'
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

/**
 * Sends what the remote lacks of these outputs; of a path inside of a folder only those files, without the folder's listing.
 * What cannot be sent is named, everything else goes.
 */
export async function pushOutputs({ remote, cache, outputs, options }: Transfer): Promise<PushedOutputs> {
  refuseUnknownPaths(outputs, cache)
  const whole = outputs.filter((output) => output.inside === undefined).map((output) => output.digest)
  const trees = [...new Set(whole.filter((digest) => isTree(digest)))].map((digest) => localTree(cache, digest))
  const files = new Set([...whole.filter((digest) => !isTree(digest)), ...partsOf(outputs, cache)])
  const { pushed, bytes, requests, failed } = await remote.push(trees, [...files], options)
  return { pushed, bytes, requests, left: nameFailures(failed, outputs, cache) }
}

function partsOf(outputs: readonly Output[], cache: ObjectCache): Digest[] {
  const parts = outputs.filter((output) => output.inside !== undefined)
  // A listing that is not here fails by its own name.
  return parts.flatMap(({ digest, inside }) => entriesInside(cache.readTree(digest), inside).map((entry) => entry.digest))
}
