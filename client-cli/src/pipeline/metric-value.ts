import { CairnError } from '@cairn/protocol/error'
import { parseJson } from './json-value.ts'
import type { MetricSpec } from './stage.ts'
import { entriesOf } from './yaml-text.ts'

export const METRIC_TYPES = ['raw', 'json', 'csv', 'tsv', 'hcsv', 'htsv'] as const

/**
 * What a typed metric of 2019 names in its file: the values that the xpath finds. Without an xpath, and for `raw`, the text
 * itself. `json`: `acc`, `$.acc`, `a.b[0]`, `a[*].b`. `csv` and `tsv`: `row,column` by number, either may be left out; `hcsv`
 * and `htsv` name the column by its header.
 * @throws CairnError FAILED when the file does not hold that type, or the xpath is malformed
 */
export function metricValues(text: string, spec: MetricSpec, file: string): string | unknown[] {
  const xpath = spec.xpath?.trim() ?? ''
  if (spec.type === undefined || spec.type === 'raw' || xpath === '') return text.trim()
  try {
    if (spec.type === 'json') return findJson(parseJson(text), xpath)
    return findCell(parseDelimited(text, spec.type.endsWith('csv') ? ',' : '\t'), xpath, spec.type.startsWith('h'))
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new CairnError('FAILED', `unable to read '${file}' as ${spec.type}: ${cause.message}`, { cause })
  }
}

type Step = { name: string } | { index: number } | { every: true } | { deep: string }

function findJson(value: unknown, xpath: string): unknown[] {
  let found = [value]
  for (const step of stepsOf(xpath)) found = found.flatMap((each) => takeStep(each, step))
  return found
}

const STEP = /^(?:\.\.([\w-]+|\*)|\.?([^.[\]'"\s]+)|\[\s*(-?\d+|\*)\s*\]|\.?\[?(?:'([^']*)'|"([^"]*)")\]?)/

function stepsOf(xpath: string): Step[] {
  const steps: Step[] = []
  let rest = xpath.replace(/^\$/, '')
  while (rest !== '') {
    const match = STEP.exec(rest)
    if (!match) throw new SyntaxError(`the xpath '${xpath}' is malformed at '${rest}'`)
    const [all, deep, name, index, single, double] = match
    rest = rest.slice(all.length)
    if (deep !== undefined) steps.push({ deep })
    else if (name === '*' || index === '*') steps.push({ every: true })
    else if (index !== undefined) steps.push({ index: Number(index) })
    else steps.push({ name: name ?? single ?? double ?? '' })
  }
  return steps
}

function takeStep(value: unknown, step: Step): unknown[] {
  const children = Array.isArray(value) ? (value as unknown[]) : (entriesOf(value) ?? []).map(([, each]) => each as unknown)
  if ('every' in step) return children
  if ('index' in step) {
    const at = Array.isArray(value) ? (value as unknown[]).at(step.index) : undefined
    return at === undefined ? [] : [at]
  }
  if ('deep' in step) {
    const here = step.deep === '*' ? children : takeStep(value, { name: step.deep })
    return [...here, ...children.flatMap((each) => takeStep(each, step))]
  }
  const entry = entriesOf(value)?.find(([key]) => key === step.name)
  return entry ? [entry[1]] : []
}

function findCell(rows: string[][], xpath: string, named: boolean): unknown[] {
  const [rowText = '', columnText = ''] = xpath.split(',').map((part) => part.trim())
  if (!/^-?\d*$/.test(rowText) || (!named && !/^-?\d*$/.test(columnText))) {
    throw new SyntaxError(`the xpath '${xpath}' is malformed, expected row,column`)
  }
  const header = named ? (rows[0] ?? []) : undefined
  const body = named ? rows.slice(1) : rows
  const chosen = rowText === '' ? body : body.slice(Number(rowText)).slice(0, 1)
  if (chosen.length === 0) return []
  if (columnText === '')
    return rowText === '' ? body : header ? [new Map(header.map((name, at) => [name, chosen[0]?.[at]]))] : (chosen[0] ?? [])
  const column = header ? header.indexOf(columnText) : Number(columnText)
  return chosen.map((row) => row.at(column)).filter((cell) => cell !== undefined && column >= (named ? 0 : -Infinity))
}

/** Rows of cells; `"` quotes, `""` is a quote inside of them. Empty lines are left out. */
/** Rows of cells, empty lines left out. */
export function parseDelimited(text: string, delimiter: ',' | '\t'): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let cell = ''
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (quoted) {
      if (char !== '"') cell += char
      else if (text[at + 1] === '"') cell += text[++at]
      else quoted = false
    } else if (char === '"' && cell === '') quoted = true
    else if (char === delimiter || char === '\n') {
      row.push(cell.replace(/\r$/, ''))
      cell = ''
      if (char === delimiter) continue
      rows.push(row)
      row = []
    } else cell += char
  }
  if (cell !== '' || row.length > 0) rows.push([...row, cell.replace(/\r$/, '')])
  return rows.filter((cells) => cells.length > 1 || cells[0] !== '')
}
