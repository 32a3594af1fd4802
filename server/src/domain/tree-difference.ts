import { isCode } from '@cairn/protocol/error'
import { createTreeScanner } from '@cairn/protocol/tree-scanner'
import { createCounts, createMd5Table, MD5_BYTES } from './md5-table.ts'
import type { Bytes } from './ports/blob-store.ts'
import type { ChangedMembers } from './ports/catalog.ts'

/** More changes than this are no shortcut. */
const MOST_CHANGES = 50_000
/** An entry without a long name. */
const ENTRY_BYTES = 96

/** Counts how often two trees name each file while both pass: about 50 bytes for each file of either. */
export interface Difference {
  /** Passes the base on, and counts it to its end, also when its reader stops before. */
  base(source: Bytes): Bytes
  after(md5s: Uint8Array, offset: number): void
  /** Reads what is left of the base. undefined when too much differs, or the base could not be read. */
  finish(): Promise<ChangedMembers | undefined>
  /** Lets the base go, wherever it was left. */
  close(): Promise<void>
}

/** @param baseBytes the size of the base */
export function createDifference(baseBytes: number): Difference {
  const table = createMd5Table(baseBytes / ENTRY_BYTES)
  const [before, after] = [createCounts(), createCounts()]
  const md5 = new Uint8Array(MD5_BYTES)
  const scanner = createTreeScanner((entry) => {
    entry.copyMd5(md5, 0)
    before.add(table.place(md5, 0))
  })
  let rest: AsyncIterator<Uint8Array> | undefined
  let ended = false
  let readable = true
  const next = async (source: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> => {
    const result = await source.next()
    if (result.done) ended = true
    else if (readable) readable = succeeds(() => scanner.push(result.value))
    return result
  }
  return {
    base(source) {
      const iterator = source[Symbol.asyncIterator]()
      rest = iterator
      // Without `return`: whoever stops reading leaves the rest to `finish`.
      return { [Symbol.asyncIterator]: () => ({ next: () => next(iterator) }) }
    },
    after: (md5s, offset) => after.add(table.place(md5s, offset)),
    async finish() {
      try {
        while (rest !== undefined && !ended) await next(rest)
      } catch (error) {
        if (isCode(error, 'BASE_UNKNOWN')) return undefined
        throw error
      }
      if (!readable || !succeeds(() => scanner.end())) return undefined
      const places: number[] = []
      for (let place = 0; place < table.count; place++) {
        if (before.of(place) === after.of(place)) continue
        if (places.length === MOST_CHANGES) return undefined
        places.push(place)
      }
      return { md5s: table.bytes(places), before: places.map(before.of), after: places.map(after.of) }
    },
    async close() {
      if (!ended) await rest?.return?.()
    },
  }
}

/** False for a base that is no tree: it is stored bytes all the same. */
function succeeds(work: () => void): boolean {
  try {
    work()
    return true
  } catch (error) {
    if (isCode(error, 'BAD_TREE')) return false
    throw error
  }
}
