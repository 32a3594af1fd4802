import { CairnError } from '@cairn/protocol/error'
import { commonPath, type PlotProps } from './plot-definitions.ts'
import type { Point } from './plot-sources.ts'
import { entriesOf } from './yaml-text.ts'

/** A plot's points of one revision, and what is now known of how to draw them. */
export interface Series {
  points: Point[]
  x: string
  y: string
  xLabel: string
  yLabel: string | undefined
  /** The file (without what all have in common) and field of each line. */
  sources: Array<{ filename: string; field: string }>
}

interface FileField {
  file: string
  field: string
}

/**
 * Puts the points of a plot's files together: a line for each field of `y`. Without a `y` it is the last field of the file named
 * by the plot; without an `x` points are counted as `step`. undefined when there is no point.
 * @throws CairnError FAILED when a field is not there, or axes cannot be joined
 */
export function seriesOf(id: string, content: ReadonlyMap<string, unknown>, props: PlotProps, rev: string): Series | undefined {
  const tables = new Map([...content].map(([file, value]) => [file, pointsOf(value)]))
  const axes = axesOf(id, content, props)
  const xs = fieldsOf(axes.x, tables)
  const ys = fieldsOf(axes.y, tables)
  if (xs.length > 1 && xs.length !== ys.length) {
    throw failure(`Cannot have different number of x and y data sources. Found ${xs.length} x and ${ys.length} y data sources.`)
  }
  const x = xs.length > 1 && distinct(xs).length > 1 ? 'dvc_inferred_x_value' : (xs[0]?.field ?? 'step')
  const y = distinct(ys).length > 1 ? 'dvc_inferred_y_value' : (ys[0]?.field ?? '')
  const shorten = shortNames(ys)
  const points = ys.flatMap(({ file, field }, at) => {
    const line = (tables.get(file) ?? []).map((point): Point => new Map(point))
    if (y === 'dvc_inferred_y_value') copyField(line, line, field, y)
    const from = xs.length > 1 ? xs[at] : xs[0]
    if (from) joinX(line, tables.get(from.file) ?? [], { from, to: x, file, field })
    else for (const [index, point] of line.entries()) point.set('step', index)
    for (const point of line) point.set('rev', rev).set('filename', shorten(file)).set('field', field)
    return line
  })
  if (points.length === 0) return undefined
  const sources = ys.map(({ file, field }) => ({ filename: shorten(file), field }))
  return { points, x, y, sources, ...labelsOf(props, xs, ys) }
}

function labelsOf(props: PlotProps, xs: readonly FileField[], ys: readonly FileField[]) {
  const [xFields, yFields] = [distinct(xs), distinct(ys)]
  const given = (key: string) => (typeof props[key] === 'string' ? props[key] : undefined)
  return {
    xLabel: given('x_label') ?? (xs.length === 0 ? 'step' : xFields.length === 1 ? (xFields[0] ?? '') : 'x'),
    yLabel: given('y_label') ?? (ys.length === 0 ? undefined : yFields.length === 1 ? yFields[0] : 'y'),
  }
}

const distinct = (fields: readonly FileField[]): string[] => [...new Set(fields.map(({ field }) => field))]

/** Names of files without the folders that all of them have in common. */
function shortNames(ys: readonly FileField[]): (file: string) => string {
  const files = [...new Set(ys.map(({ file }) => file))]
  const common = files.length > 1 ? commonPath(files).length : 0
  return (file) => file.slice(common).replace(/^[/\\]+|[/\\]+$/g, '')
}

/** Both axes as fields by file. */
function axesOf(id: string, content: ReadonlyMap<string, unknown>, props: PlotProps): { x: unknown; y: unknown } {
  const y = props['y'] ?? lastField(id, content.get(id))
  const ys = typeof y === 'string' || Array.isArray(y) ? new Map([[id, y]]) : y
  const { x } = props
  if (typeof x !== 'string') return { x, y: ys }
  const files = entriesOf(props['y'])
  if (!files) return { x: new Map([[id, x]]), y: ys }
  return { x: new Map(files.map(([file, fields]) => [file, Array.isArray(fields) ? fields.map(() => x) : x])), y: ys }
}

function lastField(id: string, value: unknown): unknown {
  for (const list of listsIn(value)) {
    const [first] = list
    if (first !== undefined && list.every(isRecord)) return new Map([[id, String(entriesOf(first)?.at(-1)?.[0] ?? '')]])
  }
  return undefined
}

function fieldsOf(axis: unknown, tables: ReadonlyMap<string, readonly Point[]>): FileField[] {
  const named = (entriesOf(axis) ?? []).flatMap(([file, fields]) =>
    (Array.isArray(fields) ? fields : [fields]).flatMap((field) =>
      typeof field === 'string' ? [{ file: String(file), field }] : [],
    ),
  )
  for (const { file, field } of named) {
    const first = tables.get(file)?.[0]
    if (first && !first.has(field)) {
      const found = [...first.keys()].join(', ')
      throw failure(`Could not find provided field ('${field}') in data fields ('${found}').`, 'FieldNotFoundError')
    }
  }
  return named
}

function joinX(
  line: Point[],
  points: readonly Point[],
  names: { from: FileField; to: string; file: string; field: string },
): void {
  const { from, to, file, field } = names
  if (points.length !== line.length)
    throw failure(`Cannot join '${from.field}' from '${from.file}' and '${field}' from '${file}'. They have to have same length.`)
  copyField(line, points, from.field, to)
}

function copyField(line: Point[], points: readonly Point[], from: string, to: string): void {
  for (const [at, point] of line.entries()) if (points[at]?.has(from)) point.set(to, points[at].get(from))
}

const failure = (message: string, type = 'DvcException'): CairnError => new CairnError('FAILED', message, { data: { type } })

/** The records of every list in a value, joined by their place: lists of one length stand for columns of one table. */
function pointsOf(value: unknown): Point[] {
  const points: Point[] = []
  for (const list of listsIn(value)) {
    if (!isTable(list)) continue
    for (const [at, record] of list.entries()) {
      const point = (points[at] ??= new Map())
      for (const [key, each] of entriesOf(record) ?? []) point.set(String(key), each)
    }
  }
  return points
}

function listsIn(value: unknown): unknown[][] {
  if (Array.isArray(value)) return [value]
  return (entriesOf(value) ?? []).flatMap(([, each]) => listsIn(each))
}

const isRecord = (value: unknown): boolean => entriesOf(value) !== undefined

/** Records that all have the same keys. */
function isTable(list: readonly unknown[]): boolean {
  if (list.length === 0 || !list.every(isRecord)) return false
  const keys = new Set(entriesOf(list[0])?.map(([key]) => key))
  return list.every((record) => (entriesOf(record) ?? []).every(([key]) => keys.has(key)))
}
