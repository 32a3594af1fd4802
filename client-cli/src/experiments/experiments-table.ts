import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import { pythonRepr } from '../pipeline/json-value.ts'
import { Float, isNumber, numberText } from '../pipeline/python-value.ts'
import type { Content } from '../pipeline/read-content.ts'
import { type TableFormat, tableText } from '../pipeline/table.ts'
import { entriesOf } from '../pipeline/yaml-text.ts'
import type { ExperimentRange, RevisionState } from './collect.ts'

export interface TableOptions {
  format: TableFormat
  /** Significant digits of floats; undefined: all of them. */
  precision: number | undefined
  sortBy?: string | undefined
  descending: boolean
  /** Leaves out columns whose cells are all the same. */
  onlyChanged: boolean
  drop: readonly RegExp[]
  keep: readonly RegExp[]
  now: Date
}

type Kind = 'metrics' | 'params'

interface Column {
  header: string
  kind: Kind | 'deps' | 'fixed'
  file: string
  key: string
}

interface Row {
  name: string
  rev: string
  typ: 'baseline' | 'branch_commit' | 'branch_base'
  state: RevisionState
  range?: ExperimentRange
}

const FIXED = ['Experiment', 'rev', 'typ', 'Created', 'parent', 'State', 'Executor']

/** The table of `exp show`: a row a commit, a column a metric, param or dep. @throws CairnError FAILED for an unknown column to sort by */
export function experimentsTable(states: readonly RevisionState[], options: TableOptions): string {
  const columns = columnsOf(states)
  const rows = states.flatMap((state) => rowsOf(state, columns, options))
  const fill = options.format === 'csv' ? '' : '-'
  const cells = rows.map((row) => [
    ...fixedCells(row, options, fill),
    ...columns.map((column) => cellOf(row.state, column, fill, options)),
  ])
  const kept = keptColumns([...FIXED, ...columns.map(({ header }) => header)], cells, options, fill)
  const isMerged = options.format !== 'csv'
  const shown = kept.filter(({ header }) => !isMerged || !['rev', 'typ', 'parent'].includes(header))
  const body = cells.map((row, at) =>
    shown.map(({ index }) => (isMerged && index === 0 ? titleOf(rows[at]) : (row[index] ?? fill))),
  )
  const header = shown.map((column) => column.header)
  if (options.format !== 'plain') return tableText(header, body, options.format)
  return ruled(header, body, (at) => columns[(shown[at]?.index ?? 0) - FIXED.length]?.kind === 'metrics')
}

function columnsOf(states: readonly RevisionState[]): Column[] {
  const all = states.flatMap((state) => [state, ...(state.experiments ?? []).flatMap((range) => range.revs)])
  const values = (['metrics', 'params'] as const).flatMap((kind) => {
    const files = new Map<string, Set<string>>()
    for (const { data } of all)
      for (const [file, content] of data?.[kind] ?? []) {
        const keys = files.get(file) ?? new Set()
        files.set(file, keys)
        if ('data' in content && entriesOf(content.data)) for (const [key] of leavesOf(content, file)) keys.add(key)
      }
    return [...files].flatMap(([file, keys]) => [...keys].map((key) => ({ kind, file, key })))
  })
  const uses = new Map<string, number>(FIXED.map((name) => [name, 1]))
  for (const name of new Set(values.map(({ file, key }) => `${key}\0${file}`)))
    uses.set(name.split('\0')[0] ?? '', (uses.get(name.split('\0')[0] ?? '') ?? 0) + 1)
  const deps = new Set(all.flatMap(({ data }) => [...(data?.deps.keys() ?? [])]))
  return [
    ...values.map((value) => ({ ...value, header: uses.get(value.key) === 1 ? value.key : `${value.file}:${value.key}` })),
    ...[...deps].toSorted(compareCodePoints).map((file) => ({ kind: 'deps' as const, file, key: '', header: file })),
  ]
}

/** Key to value; nested keys are joined with dots. */
function leavesOf(content: Content, file: string): Map<string, unknown> {
  const leaves = new Map<string, unknown>()
  const visit = (value: unknown, name: string) => {
    const entries = entriesOf(value)
    if (!entries) return void leaves.set(name === '' ? file : name, value)
    for (const [key, each] of entries) visit(each, name === '' ? String(key) : `${name}.${String(key)}`)
  }
  if ('data' in content) visit(content.data, '')
  return leaves
}

function rowsOf(state: RevisionState, columns: readonly Column[], options: TableOptions): Row[] {
  const name = state.name ?? (/^[0-9a-f]{40}$/.test(state.rev) ? state.rev.slice(0, 7) : state.rev)
  const ranges = options.sortBy === undefined ? (state.experiments ?? []) : sorted(state.experiments ?? [], columns, options)
  return [
    { name: '', rev: name, typ: 'baseline', state },
    ...ranges.flatMap((range, at): Row[] => {
      const [first] = range.revs
      if (!first) return []
      return [
        {
          name: first.name ?? '',
          rev: first.rev.slice(0, 7),
          typ: at === ranges.length - 1 ? 'branch_base' : 'branch_commit',
          state: first,
          range,
        },
      ]
    }),
  ]
}

function sorted(
  ranges: readonly ExperimentRange[],
  columns: readonly Column[],
  { sortBy = '', descending }: TableOptions,
): ExperimentRange[] {
  const matching = columns.filter(({ kind, file, key }) => kind !== 'deps' && (key === sortBy || `${file}:${key}` === sortBy))
  const [column] = matching
  if (column === undefined) throw new CairnError('FAILED', `Unknown sort column '${sortBy}'`)
  if (matching.length > 1)
    throw new CairnError(
      'FAILED',
      `Ambiguous sort column '${sortBy}' matched '${matching.map(({ file, key }) => `${file}:${key}`).join(', ')}'`,
    )
  const valueIn = ({ revs: [first] }: ExperimentRange) => (first ? valueOf(first, column) : undefined)
  const order = (a: unknown, b: unknown) => {
    if (a === undefined || a === null || b === undefined || b === null) return Number(a == null) - Number(b == null)
    if (isNumber(a) && isNumber(b)) return Number(a) - Number(b)
    return compareCodePoints(pythonRepr(a), pythonRepr(b))
  }
  return ranges.toSorted((a, b) => order(valueIn(a), valueIn(b)) * (descending ? -1 : 1))
}

function valueOf({ data }: RevisionState, { kind, file, key }: Column): unknown {
  const content = kind === 'metrics' || kind === 'params' ? data?.[kind].get(file) : undefined
  return content && leavesOf(content, file).get(key)
}

function fixedCells({ name, rev, typ, state, range }: Row, { format, now }: TableOptions, fill: string): string[] {
  const { executor } = range ?? {}
  return [
    name,
    rev,
    typ,
    createdText(state.data?.timestamp ?? null, format, now) ?? fill,
    '',
    executor ? 'Queued' : fill,
    executor ? 'Dvc-task' : fill,
  ]
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')

/** `10:42 AM` of today, `Nov 25, 2026` of another day; in CSV as it is. */
export function createdText(timestamp: string | null, format: TableFormat, now: Date): string | undefined {
  if (timestamp === null || format === 'csv') return timestamp ?? undefined
  const date = new Date(timestamp)
  const two = (value: number) => String(value).padStart(2, '0')
  if (date.toDateString() !== now.toDateString())
    return `${MONTHS[date.getMonth()] ?? ''} ${two(date.getDate())}, ${date.getFullYear()}`
  const hours = date.getHours()
  return `${two(hours % 12 === 0 ? 12 : hours % 12)}:${two(date.getMinutes())} ${hours < 12 ? 'AM' : 'PM'}`
}

function cellOf(state: RevisionState, column: Column, fill: string, { precision }: TableOptions): string {
  const { kind, file } = column
  if (kind === 'deps') return state.data?.deps.get(file)?.hash ?? fill
  const content = kind === 'fixed' ? undefined : state.data?.[kind].get(file)
  if (!content) return fill
  if ('error' in content) return '!'
  const value = valueOf(state, column)
  return value === undefined || value === null ? fill : valueText(value, precision)
}

function valueText(value: unknown, precision: number | undefined): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value))
    return `[${value.map((each) => (typeof each === 'string' ? pythonRepr(each) : valueText(each, precision))).join(', ')}]`
  const isFloat = value instanceof Float || (typeof value === 'number' && !Number.isInteger(value))
  if (!isFloat || precision === undefined || !Number.isFinite(Number(value)))
    return isNumber(value) ? numberText(value) : pythonRepr(value)
  const rounded = Number(Number(value).toPrecision(precision))
  return numberText(Number.isInteger(rounded) ? new Float(rounded) : rounded)
}

function keptColumns(
  headers: readonly string[],
  cells: ReadonlyArray<readonly string[]>,
  { onlyChanged, drop, keep }: TableOptions,
  fill: string,
): Array<{ header: string; index: number }> {
  return headers
    .map((header, index) => ({ header, index }))
    .filter(({ header, index }) => {
      const values = new Set(cells.map((row) => row[index]))
      if (keep.some((pattern) => matchesStart(pattern, header))) return true
      if ((header === 'State' || header === 'Executor') && values.size === 1 && values.has(fill)) return false
      if (onlyChanged && index > 0 && values.size <= 1) return false
      return !drop.some((pattern) => matchesStart(pattern, header))
    })
}

const matchesStart = (pattern: RegExp, text: string): boolean => text.search(pattern) === 0

const TREES = { baseline: '', branch_commit: '├── ', branch_base: '└── ' }

function titleOf(row: Row | undefined): string {
  if (!row) return ''
  if (row.typ === 'baseline' || row.name === '') return TREES[row.typ] + (row.name || row.rev)
  return `${TREES[row.typ]}${row.rev} [${row.name}]`
}

/** Rules above and below, and no cell cut: a pipe has no width, and a terminal can scroll. */
function ruled(header: readonly string[], body: ReadonlyArray<readonly string[]>, alignRight: (at: number) => boolean): string {
  const widths = header.map((name, at) => Math.max(...[header, ...body].map((row) => [...(row[at] ?? '')].length), name.length))
  const pad = (cell: string, at: number) => {
    const blanks = ' '.repeat((widths[at] ?? 0) - [...cell].length)
    return alignRight(at) ? blanks + cell : cell + blanks
  }
  const line = (row: readonly string[]) => `  ${row.map(pad).join('   ')}  `
  const rule = ` ${'─'.repeat(line(header).length - 2)} `
  return [rule, line(header), rule, ...body.map(line), rule].join('\n')
}
