import { type Digest, md5Of } from '@cairn/protocol/digest'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { TransferFailure } from '../remote/remote.ts'
import { nameObjects, type Output } from './expand.ts'

/** An object that did not make it. `path` is what a person calls it. */
export interface Left extends TransferFailure {
  path: string
}

export function nameFailures(
  failed: readonly TransferFailure[],
  outputs: readonly Output[],
  cache: Pick<ObjectCache, 'scanTree'>,
): Left[] {
  if (failed.length === 0) return []
  const names = nameObjects(outputs, new Set(failed.map((failure) => failure.digest)), cache)
  return failed.map((failure) => ({ ...failure, path: names.get(failure.digest) ?? failure.digest }))
}

const SHOWN = 20

/** Lines for a person; long lists are cut. */
export function describeLeft(left: readonly Left[]): string[] {
  const lines: string[] = []
  const missing = left.filter((object) => object.reason === 'missing')
  const others = left.filter((object) => object.reason !== 'missing')
  if (missing.length > 0) {
    lines.push('Some of the cache files do not exist neither locally nor on remote. Missing cache files:')
    lines.push(...cut(missing.map((object) => `name: ${object.path}, md5: ${hashOf(object.digest)}`)))
  }
  if (others.length > 0) lines.push(...cut(others.map((object) => `'${object.path}' (${object.digest}): ${object.message}`)))
  return lines
}

const hashOf = (digest: Digest): string => md5Of(digest) + (digest.endsWith('.dir') ? '.dir' : '')

function cut(lines: readonly string[]): string[] {
  return lines.length <= SHOWN ? [...lines] : [...lines.slice(0, SHOWN), `… and ${lines.length - SHOWN} more`]
}

/** `1 file pushed`, `5 files fetched and 3 files added`; undefined when all are zero. */
export function summarize(counts: ReadonlyArray<[number, string]>): string | undefined {
  const parts = counts.filter(([count]) => count > 0).map(([count, verb]) => `${count} file${count === 1 ? '' : 's'} ${verb}`)
  if (parts.length === 0) return undefined
  return parts.length === 1 ? parts[0] : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}
