import { type Digest, isLegacy } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { createTreeScanner } from '@cairn/protocol/tree-scanner'
import { MD5_BYTES } from './md5-table.ts'
import type { Bytes } from './ports/blob-store.ts'
import type { TreeMembers } from './ports/catalog.ts'
import { holdBack } from './verify-stream.ts'

const FIRST_ENTRIES = 1024

/** What a tree says, apart from the names. */
export interface ScannedTree {
  entries: number
  members: TreeMembers
  /** False: that no path comes twice, or as a file and as a folder, is still to be found out. */
  sorted: boolean
}

interface Collector {
  push(chunk: Uint8Array): void
  end(): ScannedTree
}

/** Called with each file's md5, 16 bytes at the offset. */
export type OnMember = (md5s: Uint8Array, offset: number) => void

function createCollector(legacy: boolean, onMember?: OnMember): Collector {
  let md5s = new Uint8Array(FIRST_ENTRIES * MD5_BYTES)
  let filled = 0
  const scanner = createTreeScanner((entry) => {
    if (filled === md5s.length) {
      const larger = new Uint8Array(md5s.length * 2)
      larger.set(md5s)
      md5s = larger
    }
    entry.copyMd5(md5s, filled)
    onMember?.(md5s, filled)
    filled += MD5_BYTES
  })
  return {
    push: (chunk) => scanner.push(chunk),
    end: () => ({ ...scanner.end(), members: { md5s: md5s.subarray(0, filled), legacy } }),
  }
}

export interface CheckedTree {
  /** To be read once. */
  bytes: Bytes
  /** Only after `bytes` has ended well. */
  scanned(): ScannedTree
}

/**
 * Passes a tree on while it reads it: 16 bytes an entry are kept. The last chunk is held back until the tree is known to be
 * one. What is wrong is told at the end, so that damage on the way is told first, by whoever hashes `source`.
 * @throws CairnError (from `bytes`) BAD_TREE
 */
export function checkTree(source: Bytes, digest: Digest, onMember?: OnMember): CheckedTree {
  const collector = createCollector(isLegacy(digest), onMember)
  let result: ScannedTree | undefined
  let wrong: CairnError | undefined
  const bytes = holdBack(source, {
    see(chunk) {
      wrong ??= refusal(() => collector.push(chunk))
    },
    end() {
      if (wrong) throw wrong
      result = collector.end()
    },
  })
  return {
    bytes,
    scanned() {
      if (!result) throw new Error('scanned() was called before the stream ended')
      return result
    },
  }
}

function refusal(work: () => void): CairnError | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    if (error instanceof CairnError) return error
    throw error
  }
}

/** Reads a tree that was checked when it came. */
export async function scanTree(source: Bytes, digest: Digest): Promise<ScannedTree> {
  const collector = createCollector(isLegacy(digest))
  for await (const chunk of source) collector.push(chunk)
  return collector.end()
}
