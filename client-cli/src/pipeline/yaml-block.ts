import { readFlow } from './yaml-flow.ts'
import type { MapEntry, ScalarNode, YamlNode } from './yaml-node.ts'
import { resolvePlain } from './yaml-scalar.ts'

/**
 * Reads the block style that dvc and people write, many times faster than a whole YAML parser: mappings, sequences, scalars that
 * may go on in the next lines, short lists and maps in flow style, comments. Anything else (anchors, block scalars, nested flow
 * style, mistakes) gives `undefined`, and the whole parser decides; what is read here it would read the same.
 */
export function readBlockYaml(text: string): YamlNode | undefined {
  const lines = cut(text)
  if (lines === undefined || lines.length === 0) return undefined
  const cursor = { lines, at: 0 }
  try {
    const node = parseBlock(cursor, lines[0]?.indent ?? 0)
    return cursor.at === lines.length ? node : undefined
  } catch (error) {
    if (error === BEYOND) return undefined
    throw error
  }
}

interface Line {
  number: number
  indent: number
  text: string
  /** A comment stood behind the text, which ends there then. */
  commented?: true
}

interface Cursor {
  lines: Line[]
  at: number
}

/** Thrown, never seen outside: the text is more than this reader knows. */
const BEYOND = new Error('beyond the block style')

/** Lines with content; only blanks are trimmed, other white space is text to YAML. undefined when there is something that changes how lines are read. */
function cut(text: string): Line[] | undefined {
  if (/[\t\r\0\u0085\u2028\u2029\ufeff]|^(?:---|\.\.\.|%)/m.test(text)) return undefined
  const lines: Line[] = []
  let number = 0
  for (const raw of text.split('\n')) {
    number++
    const body = raw.replace(/^ +/, '')
    if (body === '' || body.startsWith('#')) continue
    lines.push({ number, indent: raw.length - body.length, ...contentOf(body) })
  }
  return lines
}

/** Where there are quotes, a ` #` may be text: such a line keeps it, and is beyond this reader if it was a comment. */
function contentOf(body: string): Pick<Line, 'text' | 'commented'> {
  const mark = /['"]/.test(body) ? -1 : body.indexOf(' #')
  if (mark < 0) return { text: body.replace(/ +$/, '') }
  return { text: body.slice(0, mark).replace(/ +$/, ''), commented: true }
}

function parseBlock(cursor: Cursor, indent: number): YamlNode {
  const line = cursor.lines[cursor.at]
  if (!line || line.indent !== indent) throw BEYOND
  return isDash(line.text) ? parseSequence(cursor, indent) : parseMapping(cursor, indent)
}

const isDash = (text: string): boolean => text === '-' || text.startsWith('- ')

function parseSequence(cursor: Cursor, indent: number): YamlNode {
  const first = cursor.lines[cursor.at]
  const nodes: YamlNode[] = []
  for (let line = first; line?.indent === indent && isDash(line.text); line = cursor.lines[cursor.at]) {
    nodes.push(parseElement(cursor, line))
  }
  refuseDeeper(cursor, indent)
  return { kind: 'seq', line: first?.number ?? 1, column: indent + 1, nodes }
}

/** What follows a dash: a scalar, or a block whose first line shares the dash's. */
function parseElement(cursor: Cursor, line: Line): YamlNode {
  const rest = line.text.slice(1).replace(/^ +/, '')
  const column = line.indent + line.text.length - rest.length
  if (rest === '') {
    cursor.at++
    refuseDeeper(cursor, line.indent)
    return { kind: 'scalar', value: null, source: '', line: line.number, column: column + 1 }
  }
  if (isDash(rest) || splitEntry(rest)) {
    cursor.lines[cursor.at] = { ...line, indent: column, text: rest }
    return parseBlock(cursor, column)
  }
  return takeValue(cursor, line.indent, rest)
}

function parseMapping(cursor: Cursor, indent: number): YamlNode {
  const first = cursor.lines[cursor.at]
  const entries: MapEntry[] = []
  const names = new Set<string>()
  for (let line = first; line?.indent === indent && !isDash(line.text); line = cursor.lines[cursor.at]) {
    const entry = parseEntry(cursor, line)
    // The whole parser finds the words for a doubled key.
    if (names.has(entry.name) || entry.key === '<<') throw BEYOND
    names.add(entry.name)
    entries.push(entry)
  }
  refuseDeeper(cursor, indent)
  return { kind: 'map', line: first?.number ?? 1, column: indent + 1, entries }
}

function parseEntry(cursor: Cursor, line: Line): MapEntry {
  const split = splitEntry(line.text)
  if (!split) throw BEYOND
  const key = parseScalar(split.key, line.number, line.indent + 1)
  const place = { key: key.value, name: key.source, keyLine: line.number, keyColumn: line.indent + 1 }
  if (split.value !== '') return { ...place, node: takeValue(cursor, line.indent, split.value) }
  const next = cursor.lines[++cursor.at]
  if (next && next.indent > line.indent && !isDash(next.text) && !splitEntry(next.text))
    return { ...place, node: takeValue(cursor, line.indent, next.text) }
  const nested = next && (next.indent > line.indent || (next.indent === line.indent && isDash(next.text)))
  const empty: ScalarNode = {
    kind: 'scalar',
    value: null,
    source: '',
    line: line.number,
    column: line.indent + line.text.length + 1,
  }
  return { ...place, node: nested ? parseBlock(cursor, next.indent) : empty }
}

/** The value at the end of the line at the cursor, and the lines in which it goes on: those indented deeper than its parent. */
function takeValue(cursor: Cursor, indent: number, first: string): YamlNode {
  const start = cursor.lines[cursor.at]
  if (!start) throw BEYOND
  const isQuoted = first.startsWith("'")
  let text = first
  let last = start
  for (let next = cursor.lines[++cursor.at]; next && next.indent > indent; next = cursor.lines[++cursor.at]) {
    // Between them stood an empty line or a comment, which mean something here.
    if (last.commented || next.number !== last.number + 1) throw BEYOND
    if (isQuoted ? SINGLE.test(text) : !PLAIN.test(text) || !CONTINUED.test(next.text)) throw BEYOND
    text += ` ${next.text}`
    last = next
  }
  if (isQuoted && last !== start && last.commented) throw BEYOND
  return parseValue(text, start.number, start.indent + start.text.length - first.length + 1)
}

/** A line that is indented deeper than what it follows continues a scalar, or is a mistake. */
function refuseDeeper(cursor: Cursor, indent: number): void {
  const next = cursor.lines[cursor.at]
  if (next && next.indent > indent) throw BEYOND
}

const ENTRY = /^((?:'(?:[^']|'')*'|[^ '"#,[\]{}&*!|>%@`?:-](?:[^:#]|:(?! |$)|(?<! )#)*)):(?: +(.*))?$/

function splitEntry(text: string): { key: string; value: string } | undefined {
  const match = ENTRY.exec(text)
  return match?.[1] === undefined ? undefined : { key: match[1].replace(/ +$/, ''), value: match[2] ?? '' }
}

function parseValue(text: string, line: number, column: number): YamlNode {
  if (text.startsWith('[') || text.startsWith('{')) return readFlow(text, { line, column }) ?? refuse()
  return parseScalar(text, line, column)
}

function refuse(): never {
  throw BEYOND
}

const SINGLE = /^'((?:[^']|'')*)'$/
const DOUBLE = /^"(?:[^"\\]|\\["\\nt])*"$/
/** A line that goes on with plain text; what could be something else at its start is left to the whole parser. */
const CONTINUED = /^(?![?:-](?: |$))(?:[^:#]|:(?! |$)|(?<! |^)#)+$/
const PLAIN = /^(?:[^ '"#,[\]{}&*!|>%@`?:-]|[-?:](?=[^ ]))(?:[^:#]|:(?! |$)|(?<! )#)*$/

function parseScalar(text: string, line: number, column: number): ScalarNode {
  const quoted = SINGLE.exec(text)?.[1]?.replaceAll("''", "'") ?? (DOUBLE.test(text) ? (JSON.parse(text) as string) : undefined)
  if (quoted !== undefined) return { kind: 'scalar', value: quoted, source: quoted, line, column }
  if (!PLAIN.test(text)) throw BEYOND
  return { kind: 'scalar', value: resolvePlain(text), source: text, line, column }
}
