import type { ObjectRow } from '../domain/ports/catalog.ts'
import { createRecent } from '../domain/recent.ts'

/**
 * The bytes of small objects and of trees that were asked for lately: a stock client asks for each tree several times.
 * Bounded in bytes; keyed by where the bytes rest, which never changes. Only verified bytes come in.
 */
export interface ObjectMemory {
  find(row: ObjectRow): Uint8Array | undefined
  keep(row: ObjectRow, bytes: Uint8Array): void
}

/** So that one large tree does not push everything else out. */
const MAX_SHARE = 4
/** What an entry costs beside its bytes. */
const OVERHEAD_BYTES = 300

const costOf = (bytes: Uint8Array): number => bytes.length + OVERHEAD_BYTES

export function createObjectMemory(maxBytes: number): ObjectMemory {
  const recent = createRecent(maxBytes, costOf)
  const keyOf = (row: ObjectRow) => `${row.blobId}@${row.offset}`

  return {
    find: (row) => recent.find(keyOf(row)),
    keep(row, bytes) {
      if (costOf(bytes) * MAX_SHARE <= maxBytes) recent.keep(keyOf(row), bytes)
    },
  }
}
