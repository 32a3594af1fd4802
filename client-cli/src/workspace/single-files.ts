import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { type FileStat, sameStat } from '../cache/file-stat.ts'
import { createTableBuilder, rowMd5, type StatCache } from '../cache/stat-cache.ts'

/** The stat cache of single files: one table for all of them. */
export interface SingleFiles {
  /** The digest recorded for exactly this state of the file. */
  find(path: string, legacy: boolean, stat: FileStat): Digest | undefined
  /** The digest recorded last, whatever the file is now. */
  last(path: string, legacy: boolean): Digest | undefined
  set(path: string, digest: Digest, legacy: boolean, stat: FileStat): void
  forget(path: string): void
  flush(): void
}

type Row = FileStat & { digest: Digest }

export function openSingleFiles(cache: StatCache): SingleFiles {
  const tables = [false, true].map((legacy) => openTable(cache, legacy))
  const tableFor = (legacy: boolean) => tables[legacy ? 1 : 0]
  return {
    find(path, legacy, stat) {
      const row = tableFor(legacy)?.rows().get(path)
      return row && sameStat(row, stat) ? row.digest : undefined
    },
    last: (path, legacy) => tableFor(legacy)?.rows().get(path)?.digest,
    set(path, digest, legacy, stat) {
      tableFor(legacy)?.set(path, { mtimeMs: stat.mtimeMs, ctimeMs: stat.ctimeMs, size: stat.size, ino: stat.ino, digest })
    },
    forget: (path) => tables.forEach((table) => table.delete(path)),
    flush: () => tables.forEach((table) => table.flush()),
  }
}

function openTable(cache: StatCache, legacy: boolean) {
  const key = { path: '', legacy }
  let rows: Map<string, Row> | undefined
  let changed = false
  const load = (): Map<string, Row> => {
    const loaded = new Map<string, Row>()
    const table = cache.load(key)
    table?.paths.forEach((path, row) => {
      const [mtimeMs = 0, ctimeMs = 0, size = 0, ino = 0] = table.stats.subarray(row * 4, row * 4 + 4)
      loaded.set(path, { mtimeMs, ctimeMs, size, ino, digest: makeDigest(rowMd5(table, row), { legacy }) })
    })
    return loaded
  }
  const get = () => (rows ??= load())
  return {
    rows: get,
    set(path: string, row: Row) {
      get().set(path, row)
      changed = true
    },
    delete(path: string) {
      if (get().delete(path)) changed = true
    },
    flush() {
      if (!changed) return
      const builder = createTableBuilder(get().size + 1)
      for (const [path, row] of get()) builder.setMd5(builder.add(path, row), row.digest.replace('legacy-', ''))
      cache.save(key, builder.table(undefined, 0))
      changed = false
    },
  }
}
