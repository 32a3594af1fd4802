import { float, type Float, isNumber, numberText } from './python-value.ts'
import { entriesOf } from './yaml-text.ts'

/** A metric file as shown: its parsed content, or why there is none. */
export type MetricContent = { data: unknown } | { error: { type: string; msg: string } }

export interface MetricsOf {
  /** '' without revisions; several names of one commit are joined with commas. */
  rev: string
  files: ReadonlyMap<string, MetricContent>
}

/** What dvc keeps of a metric file: texts, numbers and booleans, at any depth; lists and null are left out. */
export function shownValues(value: unknown): unknown {
  const entries = entriesOf(value)
  if (!entries) return isShown(value) ? value : undefined
  const kept = entries.map(([key, each]) => [key, shownValues(each)] as const).filter(([, each]) => each !== undefined)
  return new Map(kept)
}

const isShown = (value: unknown): boolean => typeof value === 'string' || typeof value === 'boolean' || isNumber(value)

/** The value of `--json`. */
export function metricsJson(revisions: readonly MetricsOf[]): Map<string, unknown> {
  return new Map(revisions.map(({ rev, files }) => [rev, new Map([['data', files]])]))
}

/** dvc's table: a row a file, a column a key (sorted); with `revisions` a first column that names them. '' when there is nothing. */
export function metricsTable(
  metrics: readonly MetricsOf[],
  options: { revisions: boolean; precision?: number; markdown?: boolean },
): string {
  const precision = options.precision ?? 5
  const rows = metrics.flatMap(({ rev, files }) =>
    [...files].map(([file, content]) => ({ rev, file, cells: cellsOf(content, precision) })),
  )
  if (rows.length === 0) return ''
  const columns = [...new Set(rows.flatMap(({ cells }) => [...cells.keys()]))].toSorted()
  const lead = options.revisions ? ['Revision', 'Path'] : ['Path']
  const body = rows.map(({ rev, file, cells }) => [
    ...(options.revisions ? [rev, file] : [file]),
    ...columns.map((column) => cells.get(column) ?? '-'),
  ])
  return options.markdown ? markdown([...lead, ...columns], body) : plain([...lead, ...columns], body)
}

function cellsOf(content: MetricContent, precision: number): Map<string, string> {
  const cells = new Map<string, string>()
  const visit = (value: unknown, name: string) => {
    const entries = entriesOf(value)
    if (entries) for (const [key, each] of entries) visit(each, name === '' ? String(key) : `${name}.${String(key)}`)
    else cells.set(name, cellText(value, precision))
  }
  if ('data' in content) visit(content.data, '')
  return cells
}

function cellText(value: unknown, precision: number): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return isNumber(value)
    ? numberText(typeof value === 'number' && !Number.isInteger(value) ? rounded(value, precision) : value)
    : String(value)
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

/** A header has at least two blanks after it inside of its column, as tabulate pads it. */
function plain(header: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const widths = header.map((name, at) => Math.max(name.length + 2, ...rows.map((row) => row[at]?.length ?? 0)))
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function markdown(header: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const widths = header.map((name, at) => Math.max(name.length + 2, ...rows.map((row) => row[at]?.length ?? 0)))
  const line = (row: readonly string[]) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(header), rule, ...rows.map(line)].join('\n') + '\n\n'
}
