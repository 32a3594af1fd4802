import { randomUUID } from 'node:crypto'
import { type Digest, kindOf, md5Of } from '@cairn/protocol/digest'

/**
 * Keys are never used twice, so a late delete cannot hit a new upload. A key names what its blob holds, so that the
 * bucket can rebuild the database; what came without a digest is named by its bytes alone.
 */
export function singleKey(projectId: number, digest: Digest | undefined): string {
  const name = digest ? `${md5Of(digest).slice(0, 2)}/${md5Of(digest)}-${kindOf(digest)}` : '_/unnamed-0'
  return `${projectId}/objects/${name}-${randomUUID()}`
}

/** A blob that is made of others: see `recipe.ts`. */
export const deltaKey = (projectId: number, digest: Digest): string =>
  `${projectId}/deltas/${md5Of(digest).slice(0, 2)}/${md5Of(digest)}-${kindOf(digest)}-${randomUUID()}`

export const isDeltaKey = (key: string): boolean => /^\d+\/deltas\//.test(key)

export const packKey = (projectId: number): string => `${projectId}/packs/${randomUUID()}`

/** Whether a blob holds one object and nothing else. */
export const isSingleKey = (key: string): boolean => /^\d+\/objects\//.test(key)
