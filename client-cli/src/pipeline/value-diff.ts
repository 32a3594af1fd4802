import { compareCodePoints } from '@cairn/protocol/tree'
import { parseJson, pythonRepr } from './json-value.ts'
import { cellText } from './metrics-table.ts'
import { Float, float, isNumber, numberOf } from './python-value.ts'
import type { Content } from './read-content.ts'
import { type TableFormat, tableText } from './table.ts'
import { entriesOf } from './yaml-text.ts'

/** `undefined`: that side does not have it. `diff` of numbers only. */
export interface ValueChange {
  old: unknown
  new: unknown
  diff?: unknown
}

/** What changed, by file and by key; the key of a file that holds a bare value is ''. */
export type ValueDiff = Map<string, Map<string, ValueChange>>

type Files = ReadonlyMap<string, Content>

/** Compares two revisions' values; `all` keeps what did not change. Files and keys are in the order of the old side, then the new. */
export function diffValues(old: Files, next: Files, all = false): ValueDiff {
  const changed: ValueDiff = new Map()
  for (const file of new Set([...old.keys(), ...next.keys()])) {
    const changes = diffContent(valuesIn(old.get(file)), valuesIn(next.get(file)), all)
    if (changes.size > 0) changed.set(file, changes)
  }
  return changed
}

const valuesIn = (content: Content | undefined): unknown => {
  if (content === undefined || 'error' in content) return new Map()
  // A list is compared as its text, and what is text may be JSON.
  return Array.isArray(content.data) ? pythonRepr(content.data) : content.data
}

function diffContent(oldText: unknown, nextText: unknown, all: boolean): Map<string, ValueChange> {
  const [old, next] = [parsedText(oldText), parsedText(nextText)]
  if (!entriesOf(old) && !entriesOf(next)) return changesOf([['', old, next]], all)
  const [oldLeaves, nextLeaves] = [leavesOf(old), leavesOf(next)]
  const keys = [...new Set([...oldLeaves.values.keys(), ...nextLeaves.values.keys()])]
  return changesOf(
    keys.map((key) => [key, valueIn(oldLeaves, key), valueIn(nextLeaves, key)]),
    all,
  )
}

function changesOf(pairs: ReadonlyArray<[key: string, old: unknown, next: unknown]>, all: boolean): Map<string, ValueChange> {
  const changes = new Map<string, ValueChange>()
  for (const [key, old, next] of pairs) {
    const change = changeOf(old, next, all)
    if (change) changes.set(key, change)
  }
  return changes
}

function changeOf(old: unknown, next: unknown, all: boolean): ValueChange | undefined {
  if (Array.isArray(old) && Array.isArray(next) && old.length === 1 && next.length === 1) return changeOf(old[0], next[0], all)
  if (!all && isSame(old, next)) return undefined
  const difference = differenceOf(old, next)
  return { old, new: next, ...(difference !== undefined && { diff: difference }) }
}

function parsedText(value: unknown): unknown {
  if (typeof value !== 'string') return value
  try {
    return parseJson(value)
  } catch {
    return value
  }
}

interface Leaves {
  values: Map<string, unknown>
  /** What a key is said to be that is not there. */
  absent: unknown
}

const valueIn = ({ values, absent }: Leaves, key: string): unknown => (values.has(key) ? values.get(key) : absent)

function leavesOf(value: unknown): Leaves {
  const values = new Map<string, unknown>()
  const visit = (at: unknown, name: string) => {
    const entries = entriesOf(at)
    if (!entries) return void values.set(name, Array.isArray(at) ? pythonRepr(at) : at)
    for (const [key, each] of entries) visit(each, name === '' ? keyText(key) : `${name}.${keyText(key)}`)
  }
  if (entriesOf(value)) {
    visit(value, '')
    return { values, absent: null }
  }
  return { values, absent: isNothing(value) ? null : 'unable to parse' }
}

const keyText = (key: unknown): string => (typeof key === 'string' ? key : pythonRepr(key))

const isNothing = (value: unknown): boolean =>
  value === null || value === undefined || value === false || value === '' || (isNumber(value) && numberOf(value) === 0)

/** As Python's `==`: 1, 1.0 and true are the same, NaN is nothing's same. */
function isSame(one: unknown, other: unknown): boolean {
  const [a, b] = [arithmetic(one), arithmetic(other)]
  if (a !== undefined && b !== undefined) return exact(a.value) === exact(b.value)
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((each, at) => isSame(each, other[at]))
  return one === other
}

/** A whole number as a bigint, so that ints beyond 2^53 are told apart from floats near them. */
const exact = (value: number | bigint): number | bigint => (Number.isInteger(value) ? BigInt(value) : value)

interface Operand {
  value: number | bigint
  isFloat: boolean
}

function arithmetic(value: unknown): Operand | undefined {
  if (typeof value === 'boolean') return { value: Number(value), isFloat: false }
  if (value instanceof Float) return { value: value.value, isFloat: true }
  if (typeof value === 'bigint') return { value, isFloat: false }
  return typeof value === 'number' ? { value, isFloat: !Number.isInteger(value) } : undefined
}

function differenceOf(old: unknown, next: unknown): unknown {
  const [a, b] = [arithmetic(old), arithmetic(next)]
  if (a === undefined || b === undefined) return undefined
  if (a.isFloat || b.isFloat) return float(Number(b.value) - Number(a.value))
  const exact = BigInt(b.value) - BigInt(a.value)
  return exact >= BigInt(Number.MIN_SAFE_INTEGER) && exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : exact
}

export interface DiffTableOptions {
  /** `Metric` or `Param`. */
  title: string
  old: string
  new: string
  /** Leaves the first column out. */
  noPath: boolean
  /** A last column with the differences. */
  changes: boolean
  /** Decimal digits; undefined: all of them. */
  precision?: number
  format: TableFormat
}

/** dvc's table of changes: a row a key, sorted inside of each file. */
export function diffTable(diff: ValueDiff, options: DiffTableOptions): string {
  const { precision } = options
  const cell = (value: unknown) => (value === null || value === undefined ? '-' : valueText(value, precision))
  const header = [
    ...(options.noPath ? [] : ['Path']),
    options.title,
    options.old,
    options.new,
    ...(options.changes ? ['Change'] : []),
  ]
  const rows = [...diff].flatMap(([file, changes]) =>
    [...changes]
      .toSorted(([a], [b]) => compareCodePoints(a, b))
      .map(([key, change]) => [
        ...(options.noPath ? [] : [file]),
        key,
        cell(change.old),
        cell(change.new),
        ...(options.changes ? [cell(change.diff)] : []),
      ]),
  )
  return tableText(header, rows, options.format)
}

const valueText = (value: unknown, precision: number | undefined): string =>
  Array.isArray(value) ? pythonRepr(value) : cellText(value, precision)
