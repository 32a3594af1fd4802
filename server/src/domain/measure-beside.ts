import { createHash } from 'node:crypto'
import { type Digest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { Bytes } from './ports/blob-store.ts'
import type { SideHash } from './ports/side-hash.ts'
import { type Measured, requireDigest } from './verify-stream.ts'

/**
 * Hashes bytes that are given away by who yields them: md5 here and sha256 beside, in the time of the slower one. Yields the length
 * of each chunk as soon as it is taken. Returns once all of it is known to be right.
 * @throws CairnError DIGEST_MISMATCH, BODY_TOO_LARGE beyond `limit` bytes
 */
export async function* measureBeside(
  source: Bytes,
  sha256: SideHash,
  { digest, limit }: { digest: Digest; limit: number },
): AsyncGenerator<number, Measured> {
  const md5 = createHash('md5')
  let size = 0
  for await (const chunk of source) {
    const { length } = chunk
    size += length
    if (size > limit) throw new CairnError('BODY_TOO_LARGE', `an object has at most ${limit} bytes here`)
    md5.update(chunk)
    await sha256.update(chunk)
    yield length
  }
  const measured = { md5: md5.digest('hex'), legacyMd5: undefined, sha256: await sha256.digest(), size }
  requireDigest(measured, digest)
  return measured
}
