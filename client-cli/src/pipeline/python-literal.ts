import { float, int } from './python-value.ts'

/**
 * The value of a Python literal: numbers, strings, None, booleans, lists, tuples, sets and dicts. A tuple and a set are a list,
 * a dict is a `Map`. undefined when the text is any other expression.
 */
export function pythonLiteral(text: string): { value: unknown } | undefined {
  const cursor = { text, at: 0, depth: 0 }
  try {
    const value = parseTuple(cursor)
    skipBlanks(cursor)
    return cursor.at === text.length ? { value } : undefined
  } catch (error) {
    if (error === NO_LITERAL) return undefined
    throw error
  }
}

interface Cursor {
  text: string
  at: number
  depth: number
}

/** Thrown, never seen outside. */
const NO_LITERAL = new Error('not a literal')
const MAX_DEPTH = 200

const NUMBER =
  /[-+]?\s*(?:0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d[\d_]*)?)(?![\w.])/y
const STRING = /([A-Za-z]{0,2})("""(?:[^\\]|\\[^])*?"""|'''(?:[^\\]|\\[^])*?'''|"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*')/y
const NAME = /(?:None|True|False)(?!\w)/y
const NAMES = new Map<string, unknown>([
  ['None', null],
  ['True', true],
  ['False', false],
])

function take(cursor: Cursor, pattern: RegExp): RegExpExecArray | undefined {
  pattern.lastIndex = cursor.at
  const match = pattern.exec(cursor.text)
  if (match) cursor.at = pattern.lastIndex
  return match ?? undefined
}

function skipBlanks(cursor: Cursor): void {
  while (/[\s\\]/.test(cursor.text[cursor.at] ?? 'x')) cursor.at++
}

function opens(cursor: Cursor, char: string): boolean {
  skipBlanks(cursor)
  if (cursor.text[cursor.at] !== char) return false
  cursor.at++
  return true
}

/** `1, 2` without parentheses is a tuple. */
function parseTuple(cursor: Cursor): unknown {
  const first = parseValue(cursor)
  skipBlanks(cursor)
  return cursor.text[cursor.at] === ',' ? parseRest(cursor, [first]) : first
}

function parseRest(cursor: Cursor, values: unknown[], close?: string): unknown[] {
  for (;;) {
    if (close !== undefined && opens(cursor, close)) return values
    if (!opens(cursor, ',')) {
      if (close === undefined) return values
      throw NO_LITERAL
    }
    skipBlanks(cursor)
    const next = cursor.text[cursor.at]
    if (next !== close) values.push(parseValue(cursor))
  }
}

function parseValue(cursor: Cursor): unknown {
  skipBlanks(cursor)
  if (++cursor.depth > MAX_DEPTH) throw NO_LITERAL
  const value = parseCollection(cursor) ?? parseScalar(cursor)
  cursor.depth--
  return value
}

function parseScalar(cursor: Cursor): unknown {
  const name = take(cursor, NAME)
  if (name) return NAMES.get(name[0])
  const number = take(cursor, NUMBER)
  if (number) return numberOf(number[0].replace(/\s|_/g, ''))
  let text: string | undefined
  for (let part = take(cursor, STRING); part; part = take(cursor, STRING)) {
    text = (text ?? '') + stringOf(part[1] ?? '', part[2] ?? '')
    skipBlanks(cursor)
  }
  if (text === undefined) throw NO_LITERAL
  return text
}

function numberOf(digits: string): unknown {
  const prefixed = /^[-+]?0[xXoObB]/.test(digits)
  if (!prefixed && /[.eE]/.test(digits)) return float(Number(digits))
  return int(digits.replace(/^\+/, '').toLowerCase())
}

function parseCollection(cursor: Cursor): unknown {
  if (opens(cursor, '[')) return parseEntries(cursor, ']')
  if (opens(cursor, '(')) {
    const { values, comma } = parseMembers(cursor, ')')
    return values.length === 1 && !comma ? values[0] : values
  }
  return opens(cursor, '{') ? parseBraces(cursor) : undefined
}

const parseEntries = (cursor: Cursor, close: string): unknown[] => parseMembers(cursor, close).values

function parseMembers(cursor: Cursor, close: string): { values: unknown[]; comma: boolean } {
  if (opens(cursor, close)) return { values: [], comma: false }
  const first = parseValue(cursor)
  skipBlanks(cursor)
  const comma = cursor.text[cursor.at] === ','
  return { values: parseRest(cursor, [first], close), comma }
}

function parseBraces(cursor: Cursor): unknown {
  if (opens(cursor, '}')) return new Map()
  const first = parseValue(cursor)
  if (!opens(cursor, ':')) return parseRest(cursor, [first], '}')
  const entries = new Map<unknown, unknown>([[first, parseValue(cursor)]])
  while (!opens(cursor, '}')) {
    if (!opens(cursor, ',')) throw NO_LITERAL
    if (opens(cursor, '}')) return entries
    const key = parseValue(cursor)
    if (!opens(cursor, ':')) throw NO_LITERAL
    entries.set(key, parseValue(cursor))
  }
  return entries
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

function stringOf(prefix: string, quoted: string): string {
  const kind = prefix.toLowerCase()
  if (kind !== '' && kind !== 'r' && kind !== 'u') throw NO_LITERAL
  const width = /^(?:"""|''')/.test(quoted) ? 3 : 1
  const inner = quoted.slice(width, -width)
  if (kind === 'r') return inner
  return inner.replace(/\\(?:([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|N\{[^}]*\}|([^]))/g, unescape)
}

function unescape(whole: string, octal?: string, byte?: string, short?: string, long?: string, char?: string): string {
  if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8))
  const hex = byte ?? short ?? long
  if (hex !== undefined) {
    const code = Number.parseInt(hex, 16)
    if (code > 0x10ffff) throw NO_LITERAL
    return String.fromCodePoint(code)
  }
  if (char === undefined) throw NO_LITERAL
  return ESCAPES[char] ?? whole
}
