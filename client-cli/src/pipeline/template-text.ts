import type { CairnError } from '@cairn/protocol/error'
import { pythonRepr } from './json-value.ts'
import { isNumber } from './python-value.ts'
import { unescaped } from './template-marks.ts'
import { entriesOf } from './yaml-text.ts'

/** How a mapping becomes a command's options: the `parsing` section of the configuration. */
export interface Parsing {
  bool?: string | undefined
  list?: string | undefined
}

/** A piece of a text with `${…}` in it; `\${` is text already. */
export type Piece = { kind: 'text'; text: string } | { kind: 'reference'; key: string }

/** A backslash before it makes it text; it ends on its line. */
const REFERENCE = /(?<!\\)\$\{(.*?)\}/g

/** A text cut at its `${…}`; a single piece when it is nothing but a reference. */
export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = []
  let at = 0
  for (const match of text.matchAll(REFERENCE)) {
    if (match.index > at) pieces.push({ kind: 'text', text: unescaped(text.slice(at, match.index)) })
    pieces.push({ kind: 'reference', key: match[1] ?? '' })
    at = match.index + match[0].length
  }
  if (at < text.length || pieces.length === 0) pieces.push({ kind: 'text', text: unescaped(text.slice(at)) })
  return pieces
}

const KEY = /^[^.[\]]+(?:\s*(?:\.[^.[\]]+|\[[^.[\]]+\s*\]))*\s*$/

/** The steps of `a.b[0].c`; undefined when it is no such key. */
export function stepsOf(key: string): string[] | undefined {
  if (!KEY.test(key)) return undefined
  const dotted = key.replaceAll('[', '.').replaceAll(']', '')
  return dotted.split('.').map((step) => step.trim())
}

/**
 * A value inside of a text: true and false for booleans, options for a mapping, Python's text for anything else.
 * `fail` makes the error for what no command line can say.
 */
export function textOfValue(value: unknown, fail: (what: string) => CairnError, parsing: Parsing = {}): string {
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value === 'string') return value
  return entriesOf(value) ? optionsOf(value, fail, parsing) : pythonRepr(value)
}

/** Python's `str`: `True`, `None`, `1.0`. */
export const pythonText = (value: unknown): string => (typeof value === 'string' ? value : pythonRepr(value))

/** A mapping as options of a command: `--lr 0.1 --name 'my model' --net.depth 3`. */
function optionsOf(value: unknown, fail: (what: string) => CairnError, parsing: Parsing): string {
  const options = leavesOf(value, '').flatMap(([key, each]): string[] => {
    if (each === true) return [`--${key}`]
    if (each === false) return parsing.bool === 'boolean_optional' ? [`--no-${key}`] : []
    if (!Array.isArray(each)) return [`--${key} ${word(each)}`]
    if (each.some(isCollection)) throw fail(`Cannot interpolate nested iterable in '${key}'`)
    const words = each.map(word)
    if (parsing.list === 'append') return words.map((one) => `--${key} ${one}`)
    return words.length > 0 ? [`--${key} ${words.join(' ')}`] : []
  })
  return options.join(' ')
}

const isCollection = (value: unknown): boolean => typeof value === 'object' && value !== null && !isNumber(value)

const word = (value: unknown): string => (typeof value === 'string' ? quoted(value) : pythonRepr(value))

/** For a POSIX shell. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`
}

/** A mapping's values by their dotted keys. An empty mapping has none. */
function leavesOf(value: unknown, prefix: string): Array<[string, unknown]> {
  return (entriesOf(value) ?? []).flatMap(([key, each]): Array<[string, unknown]> => {
    const name = prefix === '' ? String(key) : `${prefix}.${String(key)}`
    return entriesOf(each) ? leavesOf(each, name) : [[name, each]]
  })
}
