import { Float, isNumber, numberText, type Scalar } from './python-value.ts'
import { readsAsText } from './yaml-scalar.ts'

/** What the emitter takes. A `Map` keeps the order of keys that look like numbers, which an object does not; its keys may be numbers. */
export type YamlValue = Scalar | readonly YamlValue[] | ReadonlyMap<Scalar, YamlValue> | { readonly [key: string]: YamlValue }

const WIDTH = 80
const LONGEST_SIMPLE_KEY = 128

/**
 * YAML in the style of everything dvc writes: block style, sequences flush with their key, folded near column 80, single
 * quotes only where needed. Byte for byte, so that files change only where their content does. Ends with a newline.
 */
export function writeYaml(value: YamlValue): string {
  const rendered = renderNode(value, 0, 0)
  return rendered.endsWith('\n') ? rendered : `${rendered}\n`
}

/** The lines of a mapping's entries, each indented by `indent`. */
export function writeEntries(entries: Iterable<readonly [Scalar, YamlValue]>, indent: number): string {
  let text = ''
  for (const [key, value] of entries) text += renderEntry(key, value, indent, text === '' ? '' : ' '.repeat(indent))
  return ' '.repeat(indent) + text
}

/** A node that starts at `column`, its children at `indent`. Collections end with a newline, scalars do not. */
function renderNode(value: YamlValue, indent: number, column: number): string {
  const entries = entriesOf(value)
  if (entries) return entries.length === 0 ? '{}' : renderMapping(entries, indent)
  if (Array.isArray(value)) return value.length === 0 ? '[]' : renderSequence(value as readonly YamlValue[], indent)
  return renderScalar(value as Scalar, column, indent)
}

function renderMapping(entries: ReadonlyArray<readonly [Scalar, YamlValue]>, indent: number): string {
  let text = ''
  for (const [key, value] of entries) text += renderEntry(key, value, indent, text === '' ? '' : ' '.repeat(indent))
  return text
}

function renderEntry(key: Scalar, value: YamlValue, indent: number, lead: string): string {
  const name = renderKey(key)
  const complex = name.length >= LONGEST_SIMPLE_KEY
  const folded = complex && typeof key === 'string' ? renderText(key, indent + 2, indent + 2, true) : name
  const head = complex ? `${lead}? ${folded}\n${' '.repeat(indent)}:` : `${lead}${name}:`
  const column = indent + (complex ? 1 : Array.from(name).length + 1)
  if (isBlock(value)) {
    if (complex) return `${head} ${renderNode(value, indent + 2, indent + 2)}`
    const inner = indent + (Array.isArray(value) ? 0 : 2)
    return `${head}\n${' '.repeat(inner)}${renderNode(value, inner, inner)}`
  }
  const text = renderNode(value, indent + 2, column + 1)
  return text === '' ? `${head}\n` : `${head} ${text}\n`
}

function renderSequence(values: readonly YamlValue[], indent: number): string {
  let text = ''
  for (const value of values) {
    const lead = text === '' ? '' : ' '.repeat(indent)
    const rendered = renderNode(value, indent + 2, indent + 2)
    text += `${lead}- ${rendered}${rendered.endsWith('\n') && isBlock(value) ? '' : '\n'}`
  }
  return text
}

const isBlock = (value: YamlValue): boolean => {
  if (Array.isArray(value)) return value.length > 0
  const entries = entriesOf(value)
  return entries !== undefined && entries.length > 0
}

/** The entries of a mapping; undefined for anything else. */
export function entriesOf(value: unknown): ReadonlyArray<readonly [Scalar, YamlValue]> | undefined {
  if (value instanceof Map) return [...(value as ReadonlyMap<Scalar, YamlValue>)]
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Float) return undefined
  return Object.entries(value as Record<string, YamlValue>)
}

function renderKey(key: Scalar): string {
  if (typeof key !== 'string') return scalarSource(key) || 'null'
  if (key === '') return "''"
  return renderText(key, 0, 0, false)
}

function renderScalar(value: Scalar, column: number, indent: number): string {
  return typeof value === 'string' ? renderText(value, column, indent, true) : scalarSource(value)
}

/** The plain text of a scalar that is no string; nothing for null. */
export function scalarSource(value: Exclude<Scalar, string>): string {
  if (value === null) return ''
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (!isNumber(value)) throw new Error('not a scalar')
  return numberText(value).replace(/^(-?)(inf|nan)$/, '$1.$2')
}

export type Quoting = 'plain' | 'single' | 'double'

/** How dvc quotes a text. */
export function quotingOf(text: string): Quoting {
  // Control characters, line and paragraph separators, lone surrogates, the byte order mark.
  const special = /[\0-\x1f\x7f-\x84\x86-\x9f\x85\u2028\u2029\ufeff\ufffe\uffff]|\p{Surrogate}/u.test(text)
  if (!special && readsAsText(text) && isSafePlain(text)) return 'plain'
  return special || text.includes("'") ? 'double' : 'single'
}

function isSafePlain(text: string): boolean {
  if (/^[#,[\]{}&*!|>'"%@`]/.test(text) || /^[-?:](?: |$)/.test(text) || text.startsWith('---') || text.startsWith('...'))
    return false
  return !/^ | $|: |:$| #/.test(text)
}

function renderText(text: string, column: number, indent: number, fold: boolean): string {
  const quoting = quotingOf(text)
  const fits = column + text.length * 2 + 2 < WIDTH
  if (quoting === 'plain') return fits || !fold ? text : foldPlain(Array.from(text), column, indent)
  if (quoting === 'single') return fits || !fold ? `'${text}'` : foldSingle(Array.from(text), column, indent)
  return writeDouble(Array.from(text), column, indent, fold)
}

/** Words that would pass the margin start a line of their own; the blank before them stays where it was. */
function foldPlain(chars: readonly string[], start: number, indent: number): string {
  const lineBreak = `\n${' '.repeat(indent)}`
  let text = ''
  let column = start
  for (const run of runs(chars)) {
    if (run[0] === ' ') {
      const breaks = run.length === 1 && column >= WIDTH
      text += breaks ? lineBreak : run.join('')
      column = breaks ? indent : column + run.length
      continue
    }
    if (run.length + column > WIDTH && column > indent) {
      text += lineBreak
      column = indent
    }
    text += run.join('')
    column += run.length
  }
  return text
}

function foldSingle(chars: readonly string[], start: number, indent: number): string {
  let text = "'"
  let column = start + 1
  let at = 0
  for (const run of runs(chars)) {
    const end = at + run.length
    if (run.length === 1 && run[0] === ' ' && column > WIDTH && at !== 0 && end !== chars.length) {
      text += `\n${' '.repeat(indent)}`
      column = indent
    } else {
      text += run.join('')
      column += run.length
    }
    at = end
  }
  return `${text}'`
}

/** Maximal runs of blanks and of anything else. */
function* runs(chars: readonly string[]): Generator<readonly string[]> {
  let start = 0
  for (let end = 1; end <= chars.length; end++) {
    if (end < chars.length && (chars[end] === ' ') === (chars[start] === ' ')) continue
    yield chars.slice(start, end)
    start = end
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\0': '0',
  '\x07': 'a',
  '\b': 'b',
  '\t': 't',
  '\n': 'n',
  '\v': 'v',
  '\f': 'f',
  '\r': 'r',
  '\x1b': 'e',
  '"': '"',
  '\\': '\\',
  '\x85': 'N',
  '\xa0': '_',
  '\u2028': 'L',
  '\u2029': 'P',
}

function escape(char: string): string | undefined {
  const code = char.codePointAt(0) ?? 0
  if (char !== '"' && char !== '\\' && code >= 0x20 && code <= 0x7e) return undefined
  const readable = (code >= 0xa0 && code <= 0xd7ff) || (code >= 0xe000 && code <= 0xfffd) || code >= 0x10000
  if (readable && !'\u2028\u2029\ufeff'.includes(char)) return undefined
  const short = ESCAPES[char]
  if (short !== undefined) return `\\${short}`
  const hex = code.toString(16).toUpperCase()
  return code <= 0xff ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`
}

/** Double quotes: breaks at a blank past the margin, with a backslash where the break would otherwise read as a blank too many. */
function writeDouble(chars: readonly string[], start: number, indent: number, fold: boolean): string {
  let text = '"'
  let column = start + 1
  let from = 0
  const put = (piece: string) => {
    text += piece
    column += Array.from(piece).length
  }
  for (let end = 0; end <= chars.length; end++) {
    const char = chars[end]
    const escaped = char === undefined ? '' : escape(char)
    if (escaped !== undefined) {
      if (from < end) put(chars.slice(from, end).join(''))
      from = end
      if (char !== undefined) {
        put(escaped)
        from = end + 1
      }
    }
    const inside = end > 0 && end < chars.length - 1 && (char === ' ' || from >= end)
    if (!fold || !inside || column + (end - from) <= WIDTH) continue
    const backslash = needsBackslash(chars, from, end)
    put(chars.slice(from, end).join('') + (backslash ? '\\' : ''))
    if (from < end) from = end
    text += `\n${' '.repeat(indent)}`
    column = indent
    if (chars[from] === ' ') {
      if (backslash) put('\\')
      else from++
    }
  }
  return `${text}"`
}

function needsBackslash(chars: readonly string[], from: number, end: number): boolean {
  const space = chars.indexOf(' ', end)
  if (space < 0 || space + 1 >= chars.length) return true
  const newline = chars.slice(end, space).indexOf('\n')
  const at = newline < 0 ? space : end + newline
  if (chars[at] === '\n' && chars[at + 1] !== ' ') return true
  const between = chars.slice(end, at)
  const next = chars[at + 1]
  const doubled = chars[end - 1] === ' ' && chars[end] === ' '
  return between.includes('"') || between.includes("'") || next === ' ' || next === '\n' || doubled || from === end
}
