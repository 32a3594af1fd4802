import path from 'node:path/posix'
import { compareCodePoints } from '@cairn/protocol/tree'
import type { ContentFile, Tracked } from './foreign-content.ts'

/** One row of `list`, with dvc's keys in dvc's order. */
export interface ListRow {
  isout: boolean
  isdir: boolean
  isexec: boolean
  size: number | null
  md5: string | null
  path: string
}

export interface RowOptions {
  /** How many folders deep; a folder at that depth is one row. */
  levels: number
  /** Folders that are gone into have rows of their own, before what they hold. */
  folders: boolean
  dvcOnly: boolean
}

/**
 * The rows for what lies at and below a path, in depth-first order. Folders have the size that is recorded for them: what it is where
 * they stand is for others to say.
 */
export function rowsOf(at: string, files: readonly ContentFile[], tracked: readonly Tracked[], options: RowOptions): ListRow[] {
  const rows = new Map<string, ListRow>()
  const outs = new Map(tracked.map((each) => [each.out.path, each]))
  const isOut = (location: string) => isTracked(location, outs)
  const addFolder = (name: string) => {
    if (!rows.has(name)) rows.set(name, rowOfFolder(path.join(at, name), name, outs))
  }
  const add = (location: string, file: ContentFile | undefined) => {
    if (options.dvcOnly && !isOut(location)) return
    const name = location === at ? path.basename(at) : path.relative(`/${at}`, `/${location}`)
    const parts = name.split('/')
    for (let depth = 1; depth < parts.length && depth <= options.levels; depth++)
      if (options.folders || depth === options.levels) addFolder(parts.slice(0, depth).join('/'))
    if (parts.length > options.levels) return
    if (file === undefined) addFolder(name)
    else rows.set(name, rowOfFile(file, name, isOut(location)))
  }
  for (const file of files) add(file.path, file)
  // A folder whose list was not asked for has no files here.
  for (const { out, digest } of tracked)
    if (digest.endsWith('.dir') && out.path !== at && (at === '' || out.path.startsWith(`${at}/`))) addTracked(out.path)
  return [...rows.values()].toSorted((a, b) => compareParts(a.path, b.path))

  function addTracked(location: string): void {
    const depth = path.relative(`/${at}`, `/${location}`).split('/').length
    if (depth >= options.levels) add(location, undefined)
  }
}

function isTracked(location: string, outs: ReadonlyMap<string, Tracked>): boolean {
  for (let each = location; each !== '.' && each !== ''; each = path.dirname(each)) if (outs.has(each)) return true
  return false
}

/** The row of a folder at `location`, under the `name` that is shown. */
export function rowOfFolder(location: string, name: string, outs: ReadonlyMap<string, Tracked>): ListRow {
  const out = outs.get(location)
  const md5 = out === undefined ? null : out.digest.replace('legacy-', '')
  const size = out?.out.recorded?.size ?? null
  return { isout: isTracked(location, outs), isdir: true, isexec: false, size, md5, path: name }
}

/** Folder by folder: what `a` holds comes before `a.txt`. */
function compareParts(a: string, b: string): number {
  const [left, right] = [a.split('/'), b.split('/')]
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const order = compareCodePoints(left[at] ?? '', right[at] ?? '')
    if (order !== 0) return order
  }
  return left.length - right.length
}

const rowOfFile = (file: ContentFile, name: string, isout: boolean): ListRow => ({
  isout,
  isdir: false,
  isexec: file.isexec,
  size: file.size,
  md5: file.digest?.replace('legacy-', '') ?? null,
  path: name,
})

/** `139`, `4.00k`, `1.20M`: as dvc prints sizes. */
export function humanSize(bytes: number): string {
  if (bytes < 1024) return String(bytes)
  let value = bytes / 1024
  for (const unit of ['k', 'M', 'G', 'T', 'P']) {
    if (value < 999.5) return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)}${unit}`
    value /= 1024
  }
  return `${value.toFixed(1)}E`
}

/** Rows as lines; with `tree` drawn below a root of their own. Sizes are set to the right, as dvc does. */
export function describeRows(
  rows: readonly ListRow[],
  show: { size: boolean; hash: boolean },
  names: readonly string[] = rows.map((row) => row.path),
): string[] {
  const sizes = rows.map((row) => (row.size === null ? '' : humanSize(row.size)))
  const hashes = rows.map((row) => row.md5 ?? '-')
  const [sizeWidth, hashWidth] = [sizes, hashes].map((column) => Math.max(0, ...column.map((text) => text.length)))
  return rows.map((_row, index) =>
    [
      ...(show.size ? [(sizes[index] ?? '').padStart(sizeWidth ?? 0)] : []),
      ...(show.hash ? [(hashes[index] ?? '').padEnd(hashWidth ?? 0)] : []),
      names[index] ?? '',
    ].join('  '),
  )
}

/** The names of rows that stand in depth-first order, drawn as a tree. `path` is relative to the root. */
export function drawTree(rows: readonly ListRow[]): string[] {
  const depths = rows.map((row) => row.path.split('/').length)
  const isLast = (index: number): boolean => {
    const depth = depths[index] ?? 0
    for (let next = index + 1; next < rows.length; next++) {
      const other = depths[next] ?? 0
      if (other < depth) return true
      if (other === depth) return false
    }
    return true
  }
  const open: boolean[] = []
  return rows.map((row, index) => {
    const depth = depths[index] ?? 1
    const last = isLast(index)
    open[depth] = !last
    const before = Array.from({ length: depth - 1 }, (_, level) => (open[level + 1] ? '│   ' : '    ')).join('')
    return `${before}${last ? '└── ' : '├── '}${path.basename(row.path)}`
  })
}
