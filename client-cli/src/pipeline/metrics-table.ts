import { float, type Float, isNumber, numberOf, numberText } from './python-value.ts'
import type { Content, Failure } from './read-content.ts'
import { type TableFormat, tableText } from './table.ts'
import { entriesOf } from './yaml-text.ts'

/** What a revision says, file by file, or why its stage files cannot be read. */
export interface MetricsOf {
  /** '' without revisions; several names of one commit are joined with commas. */
  rev: string
  files: ReadonlyMap<string, Content>
  error?: Failure
}

/** What dvc keeps of a metric file: texts, numbers and booleans, at any depth; lists, null and empty mappings are left out. */
export function shownValues(value: unknown): unknown {
  const shown = shownValue(value)
  return shown === undefined || shown === '' || shown === false || (isNumber(shown) && numberOf(shown) === 0) ? new Map() : shown
}

function shownValue(value: unknown): unknown {
  const entries = entriesOf(value)
  if (!entries) return isShown(value) ? value : undefined
  const kept = entries.map(([key, each]) => [key, shownValue(each)] as const)
  return new Map(kept.filter(([, each]) => each !== undefined && !(each instanceof Map && each.size === 0)))
}

const isShown = (value: unknown): boolean => typeof value === 'string' || typeof value === 'boolean' || isNumber(value)

/** The value of `--json`. */
export function metricsJson(revisions: readonly MetricsOf[]): Map<string, unknown> {
  return new Map(revisions.map(({ rev, files, error }) => [rev, error ? { error } : { data: files }]))
}

/** dvc's table: a row a file, a column a key (sorted); with `revisions` a first column that names them. '' when there is nothing. */
export function metricsTable(
  metrics: readonly MetricsOf[],
  options: { revisions: boolean; precision?: number; format?: TableFormat },
): string {
  const precision = options.precision ?? 5
  const rows = metrics.flatMap(({ rev, files }) =>
    [...files].map(([file, content]) => ({ rev, file, cells: cellsOf(content, precision) })),
  )
  const columns = [...new Set(rows.flatMap(({ cells }) => [...cells.keys()]))].toSorted()
  const lead = options.revisions ? ['Revision', 'Path'] : ['Path']
  const body = rows.map(({ rev, file, cells }) => [
    ...(options.revisions ? [rev, file] : [file]),
    ...columns.map((column) => cells.get(column) ?? '-'),
  ])
  return tableText([...lead, ...columns], body, options.format ?? 'plain')
}

function cellsOf(content: Content, precision: number): Map<string, string> {
  const cells = new Map<string, string>()
  const visit = (value: unknown, name: string) => {
    const entries = entriesOf(value)
    if (entries) for (const [key, each] of entries) visit(each, name === '' ? String(key) : `${name}.${String(key)}`)
    else cells.set(name, cellText(value, precision))
  }
  if ('data' in content) visit(content.data, '')
  return cells
}

/** A value as Python prints it, floats rounded when `precision` is given. */
export function cellText(value: unknown, precision?: number): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (!isNumber(value)) return String(value)
  const isFraction = typeof value === 'number' && !Number.isInteger(value)
  return numberText(isFraction && precision !== undefined ? rounded(value, precision) : value)
}

/** Python's `round`: to the nearest, exact halves to the even digit. A float stays a float. */
function rounded(value: number, precision: number): number | Float {
  if (!Number.isFinite(value) || Math.abs(value) >= 1e21) return value
  const exact = Math.abs(value).toFixed(100)
  const point = exact.indexOf('.')
  const kept = exact.slice(0, point + 1 + precision)
  const half = /^50*$/.test(exact.slice(point + 1 + precision))
  const text = half && /[02468]$/.test(kept.replace('.', '')) ? kept : Math.abs(value).toFixed(precision)
  return float(Math.sign(value) * Number(text))
}
