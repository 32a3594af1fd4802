import type { ObjectRow } from '../domain/ports.ts'

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

export function createObjectMemory(maxBytes: number): ObjectMemory {
  const entries = new Map<string, Uint8Array>()
  let used = 0
  const keyOf = (row: ObjectRow) => `${row.blobId}@${row.offset}`

  return {
    find(row) {
      const key = keyOf(row)
      const bytes = entries.get(key)
      if (!bytes) return undefined
      entries.delete(key)
      entries.set(key, bytes)
      return bytes
    },
    keep(row, bytes) {
      const cost = bytes.length + OVERHEAD_BYTES
      const key = keyOf(row)
      if (cost * MAX_SHARE > maxBytes || entries.has(key)) return
      entries.set(key, bytes)
      used += cost
      for (const [oldest, kept] of entries) {
        if (used <= maxBytes) break
        entries.delete(oldest)
        used -= kept.length + OVERHEAD_BYTES
      }
    },
  }
}
