import { Document, isMap, isScalar, isSeq, parseDocument, Scalar as YamlScalar, YAMLMap, YAMLSeq, Pair, type Node } from 'yaml'
import type { Scalar } from './python-value.ts'
import { resolvePlain } from './yaml-scalar.ts'
import { entriesOf, quotingOf, scalarSource, type YamlValue } from './yaml-text.ts'

export type Mapping = ReadonlyMap<Scalar, YamlValue>

/** What a list's entry is called: a text itself, the `path` of a mapping, the only key of `{path: {flags}}`. */
export function nameOf(value: YamlValue | undefined): string | undefined {
  if (typeof value === 'string') return value
  const entries = entriesOf(value)
  if (!entries) return undefined
  const path = entries.find(([key]) => key === 'path')?.[1]
  if (typeof path === 'string') return path
  const [first] = entries
  return entries.length === 1 && first ? String(first[0]) : undefined
}

export const asMap = (value: YamlValue): Mapping | undefined => {
  const entries = entriesOf(value)
  return entries && new Map(entries)
}

/** The document as nodes that know their place in the text and keep their style and their comments. */
export const parseNodes = (text: string): Document.Parsed =>
  parseDocument(text, { version: '1.2', schema: 'failsafe', customTags: [EMPTY], logLevel: 'error' })

const STYLE = { indentSeq: false, lineWidth: 80, flowCollectionPadding: false, singleQuote: true, blockQuote: true } as const

/** The whole text with new content: comments and quotes stay, indentation and line breaks are the writer's. */
export function editDocument(previous: string, after: YamlValue): string {
  const document = parseNodes(previous)
  document.contents = applied(document.contents, after) as typeof document.contents
  return document.toString(STYLE)
}

/** Nothing at all is null, and is written as nothing again. */
const EMPTY = {
  identify: (value: unknown) => value === null,
  createNode: () => new YamlScalar(null),
  default: true as const,
  tag: 'tag:yaml.org,2002:null',
  test: /^$/,
  resolve: () => new YamlScalar(null),
  stringify: () => '',
}

/** A collection in flow style with new content, in one line; without the comments around it. */
export function flowText(node: YAMLMap | YAMLSeq, after: YamlValue): string {
  node.comment = null
  node.commentBefore = null
  const document = new Document(null, { version: '1.2', schema: 'failsafe', customTags: [EMPTY] })
  document.contents = applied(node, after) as typeof document.contents
  return document.toString({ ...STYLE, lineWidth: 0 }).trim()
}

/** The node changed into the value: what is the same stays untouched, with its comments and its quotes. */
function applied(node: unknown, value: YamlValue): Node {
  const wanted = asMap(value)
  if (wanted && isMap(node)) return appliedMap(node, wanted)
  if (Array.isArray(value) && isSeq(node)) return appliedList(node, value as YamlValue[])
  if (!wanted && !Array.isArray(value) && isScalar(node)) return appliedScalar(node, value as Scalar)
  return created(value)
}

function appliedMap(node: YAMLMap, wanted: Mapping): Node {
  const merges = node.items.filter((pair) => isScalar(pair.key) && pair.key.value === '<<')
  const old = new Map(node.items.map((pair) => [keyOf(pair), pair]))
  const pairs = [...wanted].map(([key, value]) => {
    const pair = old.get(key)
    if (!pair) return new Pair(created(key), created(value))
    pair.value = applied(pair.value, value)
    return pair
  })
  node.items = [...merges.filter((pair) => !pairs.includes(pair)), ...pairs]
  return node
}

function appliedList(node: YAMLSeq, values: readonly YamlValue[]): Node {
  const plain = node.items.map((each) => plainOf(each))
  const names = plain.map(nameOf)
  node.items = values.map((value, index) => {
    const name = nameOf(value)
    const at = name === undefined ? index : names.indexOf(name)
    return at < 0 || at >= node.items.length ? created(value) : applied(node.items[at], value)
  })
  return node
}

function appliedScalar(node: YamlScalar, value: Scalar): Node {
  if (Object.is(plainOf(node), value)) return node
  const fresh = created(value)
  if (node.comment != null) fresh.comment = node.comment
  if (node.commentBefore != null) fresh.commentBefore = node.commentBefore
  return fresh
}

export const keyOf = (pair: Pair): Scalar => plainOf(pair.key) as Scalar

function plainOf(node: unknown): YamlValue {
  if (isScalar(node)) {
    if (node.value === null) return null
    const text = String(node.value)
    return node.type === undefined || node.type === 'PLAIN' ? resolvePlain(text) : text
  }
  if (isSeq(node)) return node.items.map(plainOf)
  if (isMap(node)) return new Map(node.items.map((pair) => [keyOf(pair), plainOf(pair.value)]))
  return null
}

function created(value: YamlValue): Node {
  const entries = entriesOf(value)
  if (entries) {
    const map = new YAMLMap()
    for (const [key, each] of entries) map.items.push(new Pair(created(key), created(each)))
    return map
  }
  if (Array.isArray(value)) {
    const seq = new YAMLSeq()
    for (const each of value as readonly YamlValue[]) seq.items.push(created(each))
    return seq
  }
  return createdScalar(value as Scalar)
}

function createdScalar(value: Scalar): YamlScalar {
  if (value === null) return new YamlScalar(null)
  const scalar = new YamlScalar(typeof value === 'string' ? value : scalarSource(value))
  const quoting = typeof value === 'string' ? (value === '' ? 'single' : quotingOf(value)) : 'plain'
  scalar.type = quoting === 'plain' ? 'PLAIN' : quoting === 'single' ? 'QUOTE_SINGLE' : 'QUOTE_DOUBLE'
  return scalar
}
