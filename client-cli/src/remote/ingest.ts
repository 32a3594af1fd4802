import { closeSync, openSync, writeSync } from 'node:fs'
import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { createMd5 } from '../cache/md5.ts'
import type { ObjectCache } from '../cache/object-cache.ts'

/** Takes bytes of an unknown digest into the cache, a chunk at a time. Nothing is left when they break off. */
export async function ingest(
  cache: Pick<ObjectCache, 'draft' | 'adopt' | 'discard'>,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<{ digest: Digest; size: number }> {
  const draft = cache.draft()
  const md5 = createMd5()
  let size = 0
  try {
    const fd = openSync(draft, 'w')
    try {
      for await (const chunk of bytes) {
        signal.throwIfAborted()
        md5.update(chunk)
        for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at)
        size += chunk.length
      }
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    cache.discard(draft)
    throw error
  }
  const digest = makeDigest(md5.digest())
  cache.adopt(draft, digest)
  return { digest, size }
}
