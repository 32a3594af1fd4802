import { type Digest, isTree } from '@cairn/protocol/digest'
import { compareCodePoints } from '@cairn/protocol/tree'
import type { Snapshot, SnapshotEntry } from './snapshot.ts'

/** A file or folder of a snapshot. `path` is root-relative, without a trailing `/`. */
export interface Row {
  path: string
  digest: Digest
}

export interface SnapshotDiff {
  added: Row[]
  deleted: Row[]
  modified: Array<{ old: Row; new: Row }>
  /** The same content, deleted at one path and added at another. */
  renamed: Array<{ old: Row; new: Row }>
  unchanged: Row[]
  /** Inside of a folder whose earlier files cannot be told; folders have a trailing `/`. */
  unknown: string[]
}

export interface DiffOptions {
  /** Also the files of folders, each by itself. */
  granular: boolean
  /** Whether `unchanged` is wanted: else folders that are the same are not opened. */
  unchanged?: boolean
  /** Only these paths: a rename out of them is a deletion, as dvc has it. */
  isMeant?: (path: string) => boolean
}

/** Pure. Every list is in the order of the paths. */
export function compareSnapshots(old: Snapshot, now: Snapshot, options: DiffOptions): SnapshotDiff {
  const before = new Map<string, Row>()
  const after = new Map<string, Row>()
  const unchanged: Row[] = []
  const unknown: string[] = []
  for (const path of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(path), now.get(path)]
    if (was && is && was.digest === is.digest) {
      unchanged.push({ path, digest: is.digest })
      if (options.unchanged && options.granular) unchanged.push(...(rowsInside(path, was) ?? rowsInside(path, is) ?? []))
      continue
    }
    if (was) before.set(path, { path, digest: was.digest })
    if (is) after.set(path, { path, digest: is.digest })
    if (!options.granular) continue
    const [wasInside, isInside] = [was && rowsInside(path, was), is && rowsInside(path, is)]
    if (was && is && (!wasInside || !isInside)) {
      // One side is a single file, or nobody knows what was in it.
      if (isTree(was.digest) && isTree(is.digest)) unknown.push(...withFolders(path, wasInside ?? isInside ?? []))
      else
        for (const [side, rows] of [
          [before, wasInside ?? []],
          [after, isInside ?? []],
        ] as const)
          addAll(side, rows)
      continue
    }
    addAll(before, wasInside ?? [])
    addAll(after, isInside ?? [])
  }
  const { isMeant = () => true } = options
  for (const side of [before, after]) for (const path of side.keys()) if (!isMeant(path)) side.delete(path)
  return sorted({
    ...compareRows(before, after, unchanged),
    unchanged: unchanged.filter((row) => isMeant(row.path)),
    unknown: unknown.filter((path) => isMeant(path.replace(/\/$/, ''))),
  })
}

/** A row's path as people see it: folders with a trailing `/`. */
export const shown = ({ path, digest }: Row): string => (isTree(digest) ? `${path}/` : path)

/** The files of a folder as rows; undefined when they are not known, or there are none to know. */
export function rowsInside(path: string, entry: SnapshotEntry): Row[] | undefined {
  return entry.members?.()?.map((member) => ({ path: `${path}/${member.path}`, digest: member.digest }))
}

function addAll(side: Map<string, Row>, rows: readonly Row[]): void {
  for (const row of rows) side.set(row.path, row)
}

function compareRows(
  before: ReadonlyMap<string, Row>,
  after: ReadonlyMap<string, Row>,
  unchanged: Row[],
): Pick<SnapshotDiff, 'added' | 'deleted' | 'modified' | 'renamed'> {
  const added: Row[] = []
  const deleted: Row[] = []
  const modified: SnapshotDiff['modified'] = []
  for (const row of after.values()) {
    const was = before.get(row.path)
    if (!was) added.push(row)
    else if (was.digest === row.digest) unchanged.push(row)
    else modified.push({ old: was, new: row })
  }
  for (const row of before.values()) if (!after.has(row.path)) deleted.push(row)
  return { ...pairRenames(added, deleted), modified }
}

/** Equal contents are paired in the order of the paths' parts, as dvc pairs them. */
function pairRenames(added: Row[], deleted: Row[]): Pick<SnapshotDiff, 'added' | 'deleted' | 'renamed'> {
  const gone = new Map<Digest, Row[]>()
  for (const row of deleted.toSorted(byParts)) gone.set(row.digest, [...(gone.get(row.digest) ?? []), row])
  const paired = new Set<Row>()
  const renamed: SnapshotDiff['renamed'] = []
  for (const row of added.toSorted(byParts)) {
    const old = gone.get(row.digest)?.shift()
    if (!old) continue
    renamed.push({ old, new: row })
    paired.add(old).add(row)
  }
  const rest = (rows: Row[]) => rows.filter((row) => !paired.has(row))
  return { added: rest(added), deleted: rest(deleted), renamed }
}

/** `\0` sorts before every character of a name, so that `a/b` comes before `a.b`. */
const byParts = (a: Row, b: Row): number => compareCodePoints(a.path.replaceAll('/', '\0'), b.path.replaceAll('/', '\0'))

function withFolders(top: string, rows: readonly Row[]): string[] {
  const names = new Set<string>()
  for (const { path } of rows) {
    for (let cut = path.indexOf('/', top.length + 1); cut > 0; cut = path.indexOf('/', cut + 1)) names.add(path.slice(0, cut + 1))
    names.add(path)
  }
  return [...names]
}

function sorted(diff: SnapshotDiff): SnapshotDiff {
  const byPath = (a: Row, b: Row) => compareCodePoints(shown(a), shown(b))
  return {
    added: diff.added.toSorted(byPath),
    deleted: diff.deleted.toSorted(byPath),
    modified: diff.modified.toSorted((a, b) => byPath(a.new, b.new)),
    renamed: diff.renamed.toSorted((a, b) => byPath(a.old, b.old) || byPath(a.new, b.new)),
    unchanged: diff.unchanged.toSorted(byPath),
    unknown: diff.unknown.toSorted(compareCodePoints),
  }
}
