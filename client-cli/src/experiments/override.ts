import { CairnError } from '@cairn/protocol/error'
import { float, int, numberOf, isNumber, numberText } from '../pipeline/python-value.ts'
import type { YamlValue } from '../pipeline/yaml-text.ts'

/** One `-S`: what is done to a key of a params file. `set` wants it there, `add` not, `put` does not care. */
export interface Override {
  /** As typed, before the colon; params.yaml by default. */
  file: string
  action: 'set' | 'add' | 'put' | 'delete'
  key: string
  /** The values to try one after the other; one, unless it is a sweep. None: a key that is deleted whatever it holds. */
  choices: ReadonlyArray<{ text: string; value: YamlValue }>
}

/** What is set in one run, by file. */
export type Overrides = ReadonlyMap<string, readonly Override[]>

/** `[file:][+|++|~]key[=value]`. @throws CairnError FAILED */
export function parseOverride(text: string): Override {
  const equals = text.indexOf('=')
  const head = equals < 0 ? text : text.slice(0, equals)
  const colon = head.lastIndexOf(':')
  const file = colon > 0 ? head.slice(0, colon) : 'params.yaml'
  const [, sign = '', key = ''] = /^(\+\+|\+|~)?(.*)$/s.exec(head.slice(colon + 1).trim()) ?? []
  const action = sign === '~' ? 'delete' : sign === '++' ? 'put' : sign === '+' ? 'add' : 'set'
  if (key === '' || (equals < 0 && action !== 'delete')) throw invalid(text, "expected '[file:]key=value'")
  if (equals < 0) return { file, action, key, choices: [] }
  return { file, action, key, choices: parseChoices(text.slice(equals + 1), text) }
}

/** `lr=1`, `+new=2`, `~old`. */
export function overrideText({ action, key, choices }: Override): string {
  const sign = { set: '', add: '+', put: '++', delete: '~' }[action]
  return `${sign}${key}${choices[0] === undefined ? '' : `=${choices[0].text}`}`
}

/** Every combination of the choices, the last one changing fastest. */
export function sweep(overrides: readonly Override[]): Overrides[] {
  let runs: Override[][] = [[]]
  for (const override of overrides) {
    const each =
      override.choices.length === 0 ? [override] : override.choices.map((choice) => ({ ...override, choices: [choice] }))
    runs = runs.flatMap((run) => each.map((one) => [...run, one]))
  }
  return runs.map((run) => {
    const files = new Map<string, Override[]>()
    for (const one of run) files.set(one.file, [...(files.get(one.file) ?? []), one])
    return files
  })
}

export const isSweep = (override: Override): boolean => override.choices.length > 1

function invalid(text: string, why: string): CairnError {
  return new CairnError('FAILED', `Invalid \`--set-param\` value: '${text}': ${why}`)
}

interface Cursor {
  text: string
  at: number
  whole: string
}

function parseChoices(text: string, whole: string): Override['choices'] {
  const cursor: Cursor = { text, at: 0, whole }
  const call = /^\s*(choice|range|glob|interval|shuffle|sort|tag)\s*\((.*)\)\s*$/s.exec(text)
  if (call) return parseCall(call[1] ?? '', { text: call[2] ?? '', at: 0, whole })
  return parseSequence(cursor)
}

function parseCall(name: string, cursor: Cursor): Override['choices'] {
  if (name === 'choice') return parseSequence(cursor)
  if (name !== 'range') throw invalid(cursor.whole, `${name}() is not supported`)
  const limits = parseSequence(cursor).map(({ value }) => value)
  if (limits.length === 0 || limits.length > 3 || !limits.every(isNumber)) throw invalid(cursor.whole, 'range() takes numbers')
  const [first = 0, second, third = 1] = limits
  const [from, to] = second === undefined ? [0, numberOf(first)] : [numberOf(first), numberOf(second)]
  const step = numberOf(third)
  const count = step === 0 ? 0 : Math.max(0, Math.ceil((to - from) / step))
  if (count === 0 || count > 10_000) throw invalid(cursor.whole, 'range() must give 1 to 10000 values')
  const whole = limits.every((limit) => typeof limit === 'number' && Number.isInteger(limit))
  return Array.from({ length: count }, (_, index) => {
    const value = whole ? from + index * step : float(from + index * step)
    return { text: numberText(value), value }
  })
}

function parseSequence(cursor: Cursor): Array<{ text: string; value: YamlValue }> {
  const choices: Array<{ text: string; value: YamlValue }> = []
  do {
    const start = cursor.at
    const value = parseValue(cursor, ',')
    choices.push({ text: cursor.text.slice(start, cursor.at).trim(), value })
  } while (takes(cursor, ','))
  if (cursor.at < cursor.text.length) throw invalid(cursor.whole, `unexpected '${cursor.text[cursor.at] ?? ''}'`)
  return choices
}

function takes(cursor: Cursor, char: string): boolean {
  skip(cursor)
  if (cursor.text[cursor.at] !== char) return false
  cursor.at++
  return true
}

function skip(cursor: Cursor): void {
  while (/\s/.test(cursor.text[cursor.at] ?? 'x')) cursor.at++
}

function parseValue(cursor: Cursor, ends: string): YamlValue {
  skip(cursor)
  const char = cursor.text[cursor.at]
  if (char === '"' || char === "'") return parseQuoted(cursor, char)
  if (char === '[') return parseList(cursor)
  if (char === '{') return parseDict(cursor)
  return scalarOf(takeWord(cursor, ends))
}

function takeWord(cursor: Cursor, ends: string): string {
  let word = ''
  for (; cursor.at < cursor.text.length; cursor.at++) {
    const char = cursor.text[cursor.at] ?? ''
    if (char === '\\' && cursor.at + 1 < cursor.text.length) word += cursor.text[++cursor.at] ?? ''
    else if (ends.includes(char)) break
    else word += char
  }
  return word.trim()
}

function parseQuoted(cursor: Cursor, quote: string): string {
  let value = ''
  for (cursor.at++; cursor.at < cursor.text.length; cursor.at++) {
    const char = cursor.text[cursor.at] ?? ''
    if (char === '\\' && cursor.text[cursor.at + 1] === quote) value += cursor.text[++cursor.at] ?? ''
    else if (char === quote) {
      cursor.at++
      return value
    } else value += char
  }
  throw invalid(cursor.whole, 'a quote is not closed')
}

function parseList(cursor: Cursor): YamlValue {
  const values: YamlValue[] = []
  cursor.at++
  if (takes(cursor, ']')) return values
  do values.push(parseValue(cursor, ',]'))
  while (takes(cursor, ','))
  if (!takes(cursor, ']')) throw invalid(cursor.whole, 'a list is not closed')
  return values
}

function parseDict(cursor: Cursor): YamlValue {
  const entries = new Map<string, YamlValue>()
  cursor.at++
  if (takes(cursor, '}')) return entries
  do {
    const key = takeWord(cursor, ':,}').replace(/^(['"])(.*)\1$/s, '$2')
    if (!takes(cursor, ':')) throw invalid(cursor.whole, 'expected key:value in {…}')
    entries.set(key, parseValue(cursor, ',}'))
  } while (takes(cursor, ','))
  if (!takes(cursor, '}')) throw invalid(cursor.whole, 'a mapping is not closed')
  return entries
}

function scalarOf(word: string): YamlValue {
  const plain = word.toLowerCase()
  if (plain === 'null') return null
  if (plain === 'true' || plain === 'false') return plain === 'true'
  if (/^[-+]?\d[\d_]*$/.test(word)) return int(word.replaceAll('_', '').replace(/^\+/, ''))
  if (/^[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(word)) return float(Number(word.replaceAll('_', '')))
  const infinite = /^([-+]?)(inf|nan)$/.exec(plain)
  if (infinite)
    return infinite[2] === 'nan' ? Number.NaN : infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  return word
}
