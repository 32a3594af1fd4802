import { isTree, md5Of, type Digest } from '@cairn/protocol/digest'
import { type Row, shown, type SnapshotDiff } from './snapshot-diff.ts'

/** What `data status` tells. Absent sections were not asked for, or cannot be told. */
export interface DataStatus {
  notInCache: readonly string[]
  notInRemote: readonly string[]
  committed: SnapshotDiff | undefined
  uncommitted: SnapshotDiff
  untracked: readonly string[]
  unchanged: readonly string[]
  /** Git has changes of its own. */
  dirty: boolean
}

type Named = Record<string, string[] | Array<{ old: string; new: string }>>

/** The value of `data status --json`: what is empty is left out. */
export function dataStatusJson(status: DataStatus): Record<string, unknown> {
  const all = {
    not_in_cache: status.notInCache,
    not_in_remote: status.notInRemote,
    committed: status.committed ? nameChanges(status.committed) : {},
    uncommitted: nameChanges(status.uncommitted),
    untracked: status.untracked,
    unchanged: status.unchanged,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => Object.keys(value).length > 0))
}

function nameChanges(diff: SnapshotDiff): Named {
  const named: Named = {
    modified: diff.modified.map((each) => shown(each.new)),
    added: diff.added.map(shown),
    deleted: diff.deleted.map(shown),
    renamed: diff.renamed.map((each) => ({ old: shown(each.old), new: shown(each.new) })),
    unknown: diff.unknown,
  }
  return Object.fromEntries(Object.entries(named).filter(([, list]) => list.length > 0))
}

const HINTS = {
  'Not in cache': ['(use "cairn fetch <file>..." to download files)'],
  'Not in remote': ['(use "cairn push <file>..." to upload files)'],
  'DVC committed changes': ['(git commit the corresponding dvc files to update the repo)'],
  'DVC uncommitted changes': [
    '(use "cairn commit <file>..." to track changes)',
    '(use "cairn checkout <file>..." to discard changes)',
  ],
  'Untracked files': ['(use "git add <file> ..." or "cairn add <file>..." to commit to git or to dvc)'],
  'DVC unchanged files': [],
} as const

/** The same for people. `unborn`: Git has no commit yet. */
export function dataStatusText(status: DataStatus, unborn: boolean): string {
  const sections = [
    section('Not in cache', status.notInCache),
    section('Not in remote', status.notInRemote),
    section('DVC committed changes', status.committed ? changeLines(status.committed) : []),
    section('DVC uncommitted changes', changeLines(status.uncommitted)),
    section('Untracked files', status.untracked),
    section('DVC unchanged files', status.unchanged),
  ].filter((text) => text !== undefined)
  const body = sections.length > 0 ? sections.join('\n\n') : unborn ? 'No changes in an empty git repo.' : 'No changes.'
  if (!status.dirty) return body
  return `${body}\n(there are ${sections.length > 0 ? 'other ' : ''}changes not tracked by dvc, use "git status" to see)`
}

function section(name: keyof typeof HINTS, lines: readonly string[]): string | undefined {
  if (lines.length === 0) return undefined
  return [`${name}:`, ...HINTS[name].map((hint) => `  ${hint}`), ...lines.map((line) => `        ${line}`)].join('\n')
}

function changeLines(diff: SnapshotDiff): string[] {
  return Object.entries(nameChanges(diff)).flatMap(([state, list]) =>
    list.map((each) => `${state}: ${typeof each === 'string' ? each : `${each.old} -> ${each.new}`}`),
  )
}

/** What `diff` tells: without `missing` nobody asked what the cache lacks. */
export interface RevisionDiff extends Pick<SnapshotDiff, 'added' | 'deleted' | 'modified' | 'renamed'> {
  missing: readonly Row[] | undefined
}

export const isEmptyDiff = ({ added, deleted, modified, renamed, missing }: RevisionDiff): boolean =>
  [added, deleted, modified, renamed, missing ?? []].every((list) => list.length === 0)

/** The value of `diff --json`. */
export function diffJson(diff: RevisionDiff, withHash: boolean): Record<string, unknown> {
  if (isEmptyDiff(diff)) return {}
  const single = (row: Row) => ({ path: shown(row), ...(withHash && { hash: hashOf(row.digest) }) })
  return {
    added: diff.added.map(single),
    deleted: diff.deleted.map(single),
    modified: diff.modified.map((pair) => ({
      path: pathOfPair(pair),
      ...(withHash && { hash: { old: hashOf(pair.old.digest), new: hashOf(pair.new.digest) } }),
    })),
    renamed: diff.renamed.map((pair) => ({
      path: { old: shown(pair.old), new: shown(pair.new) },
      ...(withHash && { hash: hashOf(pair.new.digest) }),
    })),
    ...(diff.missing && { 'not in cache': diff.missing.map(single) }),
  }
}

interface Line {
  path: string
  hash: string
}

/** The groups of `diff`, in the order in which they are told. */
function groupsOf(diff: RevisionDiff): Array<{ name: string; lines: Line[]; files: number }> {
  const single = (row: Row): Line => ({ path: shown(row), hash: shortOf(row) })
  const files = (rows: readonly Row[]) => rows.filter((row) => !isTree(row.digest)).length
  return [
    { name: 'Added', lines: diff.added.map(single), files: files(diff.added) },
    { name: 'Deleted', lines: diff.deleted.map(single), files: files(diff.deleted) },
    {
      name: 'Renamed',
      lines: diff.renamed.map((pair) => ({ path: `${shown(pair.old)} -> ${shown(pair.new)}`, hash: shortOf(pair.new) })),
      files: files(diff.renamed.map((pair) => pair.new)),
    },
    {
      name: 'Modified',
      lines: diff.modified.map((pair) => ({ path: pathOfPair(pair), hash: `${shortOf(pair.old)}..${shortOf(pair.new)}` })),
      files: diff.modified.filter((pair) => !pathOfPair(pair).endsWith('/')).length,
    },
    { name: 'Not in cache', lines: (diff.missing ?? []).map(single), files: files(diff.missing ?? []) },
  ]
}

/** Groups with an empty line after each, then how many files. undefined when nothing differs. */
export function diffText(diff: RevisionDiff, withHash: boolean): string | undefined {
  const groups = groupsOf(diff).filter(({ lines }) => lines.length > 0)
  if (groups.length === 0) return undefined
  const blocks = groups.map(({ name, lines }) => {
    const rows = lines.map(({ hash, path }) => `    ${withHash ? `${hash}  ` : ''}${path}`)
    return [`${name}:`, ...rows, '', ''].join('\n')
  })
  const counts = groups.filter(({ files }) => files > 0).map(({ name, files }) => `${files} ${name.toLowerCase()}`)
  return blocks.join('') + (counts.length > 0 ? `files summary: ${counts.join(', ')}` : '')
}

/** The cells of `diff --md`, a row a path. */
export function diffRows(diff: RevisionDiff, withHash: boolean): { header: string[]; rows: string[][] } {
  const rows = groupsOf(diff).flatMap(({ name, lines }) =>
    lines.map(({ hash, path }) => [name.toLowerCase(), ...(withHash ? [hash] : []), path]),
  )
  return { header: ['Status', ...(withHash ? ['Hash'] : []), 'Path'], rows }
}

/** A folder that became a file, or the other way round, counts as a folder. */
const pathOfPair = (pair: { old: Row; new: Row }): string => (isTree(pair.old.digest) ? shown(pair.old) : shown(pair.new))

const hashOf = (digest: Digest): string => md5Of(digest) + (isTree(digest) ? '.dir' : '')

const shortOf = (row: Row): string => md5Of(row.digest).slice(0, 8)
