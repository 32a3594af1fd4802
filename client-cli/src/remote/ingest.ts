import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { createMd5 } from '../cache/md5.ts'
import type { ObjectCache } from '../cache/object-cache.ts'

/** Takes bytes of an unknown digest into the cache, a chunk at a time. Nothing is left when they break off. @throws CairnError STORAGE_FULL */
export async function ingest(
  cache: Pick<ObjectCache, 'draftOf' | 'adopt'>,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<{ digest: Digest; size: number }> {
  const md5 = createMd5()
  let size = 0
  const draft = await cache.draftOf(bytes, signal, (chunk) => {
    md5.update(chunk)
    size += chunk.length
  })
  const digest = makeDigest(md5.digest())
  cache.adopt(draft, digest)
  return { digest, size }
}
