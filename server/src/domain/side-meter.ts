import { type Digest, isLegacy } from '@cairn/protocol/digest'
import { holdBlock } from './blocks.ts'
import type { SideHash } from './ports/side-hash.ts'
import type { Stores } from './stores.ts'
import { createMeter, type Meter } from './verify-stream.ts'

/** Below this, handing over costs what it gains. */
const BESIDE_BYTES = 8 * 1024 * 1024

/** A meter for bytes in blocks: beside the thread that serves, where that can be had and pays. `size` is undefined where it is not known. */
export function meterFor(
  { hashBeside }: Pick<Stores, 'hashBeside'>,
  { digest, size }: { digest?: Digest | undefined; size?: number | undefined },
): Meter {
  const legacy = digest !== undefined && isLegacy(digest)
  if (!hashBeside || legacy || (size !== undefined && size < BESIDE_BYTES)) return createMeter(legacy)
  return createSideMeter(hashBeside(), 0)
}

function createSideMeter(hash: SideHash, start: number): Meter {
  let size = start
  return {
    get size() {
      return size
    },
    update(block) {
      size += block.length
      holdBlock(block)
      return hash.update(block)
    },
    finish: async () => ({ ...(await hash.finish()), legacyMd5: undefined, size }),
    copy: () => createSideMeter(hash.copy(), size),
    close: () => hash.close(),
  }
}
