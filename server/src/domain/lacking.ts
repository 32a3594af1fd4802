import { type Digest, digestFrom, KIND_LEGACY, PACKED_DIGEST_BYTES, readHex } from '@cairn/protocol/digest'
import { MD5_BYTES } from './md5-table.ts'
import type { TreeMembers } from './ports/catalog.ts'

/** Files that are missing: few or a million. */
export interface Lacking {
  count: number
  /** The first ones, as text. */
  digests(most?: number): Digest[]
  /** All of them, as they travel. */
  packed(): Uint8Array
}

export const nothingLacking: Lacking = { count: 0, digests: () => [], packed: () => new Uint8Array() }

/** @param md5s 16 bytes each */
export function lacking(md5s: Uint8Array, { legacy }: Pick<TreeMembers, 'legacy'>): Lacking {
  const kind = legacy ? KIND_LEGACY : 0
  const count = md5s.length / MD5_BYTES
  return {
    count,
    digests: (most = count) =>
      Array.from({ length: Math.min(count, most) }, (_, index) => digestFrom(readHex(md5s, index * MD5_BYTES), kind)),
    packed() {
      const packed = new Uint8Array(count * PACKED_DIGEST_BYTES)
      for (let index = 0; index < count; index++) {
        packed.set(md5s.subarray(index * MD5_BYTES, (index + 1) * MD5_BYTES), index * PACKED_DIGEST_BYTES)
        packed[index * PACKED_DIGEST_BYTES + MD5_BYTES] = kind
      }
      return packed
    },
  }
}
