import { type Digest, isLegacy, isTree } from '@cairn/protocol/digest'
import type { Desk } from './desk.ts'
import { SMALL_BYTES } from './digest-path.ts'
import { hashFile } from './hash-file.ts'
import { createPace } from './pace.ts'

/**
 * Those that are missing or damaged, in their order. What nothing vouches for is hashed, in slices: an object that another
 * tool stored may have any size.
 */
export async function findUnsound(desk: Desk, digests: Iterable<Digest>): Promise<Digest[]> {
  const pace = createPace(desk.signal)
  const unsound: Digest[] = []
  for (const digest of digests) {
    const waiting = pace()
    if (waiting) await waiting
    const sound = desk.cache.isSoundWithin(digest, SMALL_BYTES) ?? (await hashLarge(desk, digest))
    if (!sound) unsound.push(digest)
  }
  return unsound
}

async function hashLarge({ cache, signal }: Desk, digest: Digest): Promise<boolean> {
  return cache.prove(digest, (path) => hashFile({ path, legacy: isLegacy(digest) && !isTree(digest) }, { signal }))
}
