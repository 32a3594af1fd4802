import { asciiJson } from '@cairn/protocol/tree'
import { float, int, isNumber, numberText } from './python-value.ts'
import { entriesOf } from './yaml-text.ts'

/**
 * Parses JSON as Python does: `NaN` and `Infinity` are numbers, ints and floats stay apart (python-value.ts). Objects become a
 * `Map`, so that keys keep their order whatever they look like.
 * @throws SyntaxError with the place
 */
export function parseJson(text: string): unknown {
  const cursor = { text: text.replace(/^\ufeff/, ''), at: 0, depth: 0 }
  const value = parseValue(cursor)
  skipBlanks(cursor)
  if (cursor.at < cursor.text.length) throw unexpected(cursor)
  return value
}

interface Cursor {
  text: string
  at: number
  depth: number
}

const TOKEN = /-?(?:(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|Infinity)|NaN|true|false|null|"(?:[^"\\\0-\x1f]|\\.)*"/y
const CONSTANTS = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
])
const MAX_DEPTH = 500

function parseValue(cursor: Cursor): unknown {
  skipBlanks(cursor)
  const char = cursor.text[cursor.at]
  if (char === '{' || char === '[') {
    if (++cursor.depth > MAX_DEPTH) throw new SyntaxError('nested too deeply')
    const value = char === '{' ? parseObject(cursor) : parseList(cursor)
    cursor.depth--
    return value
  }
  const token = takeToken(cursor)
  if (token.startsWith('"')) return JSON.parse(token)
  if (CONSTANTS.has(token)) return CONSTANTS.get(token)
  return /[.eE]/.test(token) ? float(Number(token)) : int(token)
}

function takeToken(cursor: Cursor): string {
  TOKEN.lastIndex = cursor.at
  const token = TOKEN.exec(cursor.text)?.[0]
  if (token === undefined) throw unexpected(cursor)
  cursor.at += token.length
  return token
}

function parseObject(cursor: Cursor): Map<string, unknown> {
  const entries = new Map<string, unknown>()
  if (opensEmpty(cursor, '}')) return entries
  do {
    skipBlanks(cursor)
    if (cursor.text[cursor.at] !== '"') throw unexpected(cursor)
    const key = JSON.parse(takeToken(cursor)) as string
    skipBlanks(cursor)
    if (cursor.text[cursor.at++] !== ':') throw unexpected(cursor)
    entries.set(key, parseValue(cursor))
  } while (continues(cursor, '}'))
  return entries
}

function parseList(cursor: Cursor): unknown[] {
  const values: unknown[] = []
  if (opensEmpty(cursor, ']')) return values
  do values.push(parseValue(cursor))
  while (continues(cursor, ']'))
  return values
}

function opensEmpty(cursor: Cursor, close: string): boolean {
  cursor.at++
  skipBlanks(cursor)
  if (cursor.text[cursor.at] !== close) return false
  cursor.at++
  return true
}

function continues(cursor: Cursor, close: string): boolean {
  skipBlanks(cursor)
  const char = cursor.text[cursor.at]
  if (char !== ',' && char !== close) throw unexpected(cursor)
  cursor.at++
  return char === ','
}

function skipBlanks(cursor: Cursor): void {
  while (' \t\n\r'.includes(cursor.text[cursor.at] ?? 'x')) cursor.at++
}

function unexpected({ text, at }: Cursor): SyntaxError {
  const before = text.slice(0, at).split('\n')
  return new SyntaxError(`not valid JSON, line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`)
}

/** One line of JSON as Python's `json.dumps` writes it. */
export function jsonText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jsonText).join(', ')}]`
  const entries = entriesOf(value)
  if (entries) return `{${entries.map(([key, each]) => `${asciiJson(String(key))}: ${jsonText(each)}`).join(', ')}}`
  return scalarJson(value)
}

export function scalarJson(value: unknown): string {
  if (typeof value === 'string') return asciiJson(value)
  if (isNumber(value)) return numberText(value).replace('inf', 'Infinity').replace('nan', 'NaN')
  return JSON.stringify(value ?? null)
}

/** A value as Python's `repr` shows it: `['0.2']`, `{'acc': 0.9}`, `None`. */
export function pythonRepr(value: unknown): string {
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'string') return reprText(value)
  if (isNumber(value)) return numberText(value)
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`
  return `{${(entriesOf(value) ?? []).map(([key, each]) => `${pythonRepr(key)}: ${pythonRepr(each)}`).join(', ')}}`
}

function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escapes: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\', [quote]: `\\${quote}` }
  return quote + text.replace(/[\n\r\t\\'"]/g, (char) => escapes[char] ?? char) + quote
}
