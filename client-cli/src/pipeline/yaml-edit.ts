import { isDeepStrictEqual } from 'node:util'
import { isMap, isScalar, isSeq, parseDocument, Scalar as YamlScalar, YAMLMap, YAMLSeq, Pair, type Node } from 'yaml'
import type { Scalar } from './python-value.ts'
import { resolvePlain } from './yaml-scalar.ts'
import { entriesOf, quotingOf, scalarSource, writeYaml, type YamlValue } from './yaml-text.ts'
import { readYaml, valueOf } from './yaml-read.ts'

export interface EditOptions {
  /** New keys go where the alphabet puts them, when the keys that are there are sorted; else to the end. */
  sorted?: boolean
  /** Keys that stay although the new content does not mention them. */
  kept?: ReadonlySet<string>
}

type Mapping = ReadonlyMap<Scalar, YamlValue>

/**
 * A file's text with new content: the order of keys and entries, comments and quoting stay; new keys follow the old ones.
 * Content that is the same already gives the same text, byte for byte.
 */
export function editYaml(previous: string, next: YamlValue, file: string, options: EditOptions = {}): string {
  const node = readYaml(previous, file)
  if (node === undefined) return writeYaml(next)
  const before = valueOf(node)
  const after = mergeValue(before, next, options)
  if (isDeepStrictEqual(before, after)) return previous
  // A file in the style of our own emitter is written by it; anything else (comments, flow style, anchors) is edited in place.
  return writeYaml(before) === previous ? writeYaml(after) : editDocument(previous, after)
}

/** Lists of paths, whose order means nothing. In any other list (`cmd`) it does. */
const UNORDERED = new Set<Scalar>(['deps', 'outs', 'metrics', 'plots', 'params'])

/** `next`, in the order of `before`. */
function mergeValue(before: YamlValue, next: YamlValue, options: EditOptions, key: Scalar = null): YamlValue {
  const old = asMap(before)
  const fresh = asMap(next)
  if (old && fresh) return mergeMaps(old, fresh, options)
  if (Array.isArray(before) && Array.isArray(next) && UNORDERED.has(key))
    return mergeLists(before as YamlValue[], next as YamlValue[], options)
  return next
}

function mergeMaps(old: Mapping, fresh: Mapping, options: EditOptions): Mapping {
  const sameContent = isDeepStrictEqual(old.get('md5'), fresh.get('md5'))
  const merged = new Map<Scalar, YamlValue>()
  for (const [key, value] of old) {
    const name = renamed(key, fresh)
    if (name !== undefined) merged.set(key, mergeValue(value, fresh.get(name) ?? null, options, key))
    else if (options.kept?.has(String(key)) || (sameContent && old.has('md5') && (key === 'cloud' || key === 'version_id')))
      merged.set(key, value)
  }
  const added = [...fresh].filter(([key]) => !merged.has(key) && !(key === 'locked' && merged.has('frozen')))
  for (const [key, value] of added) merged.set(key, value)
  return options.sorted && isSorted([...old.keys()]) ? new Map([...merged].toSorted(([a], [b]) => compareKeys(a, b))) : merged
}

/** 2019 said `locked` where today says `frozen`; a file keeps the word it has. */
function renamed(key: Scalar, fresh: Mapping): Scalar | undefined {
  if (fresh.has(key)) return key
  return key === 'frozen' && fresh.has('locked') ? 'locked' : undefined
}

const compareKeys = (a: Scalar, b: Scalar): number => (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0)
const isSorted = (keys: readonly Scalar[]): boolean =>
  keys.every((key, at) => at === 0 || compareKeys(keys[at - 1] ?? '', key) <= 0)

/** Entries are the same when their `path` is; those that stay keep their order, new ones follow. */
function mergeLists(old: readonly YamlValue[], fresh: readonly YamlValue[], options: EditOptions): YamlValue[] {
  const byName = new Map(fresh.map((value) => [nameOf(value), value]))
  if (byName.has(undefined) || byName.size < fresh.length) return [...fresh]
  const kept = old.filter((value) => nameOf(value) !== undefined && byName.has(nameOf(value)))
  const names = new Set(kept.map(nameOf))
  return [
    ...kept.map((value) => mergeValue(value, byName.get(nameOf(value)) ?? null, options)),
    ...fresh.filter((value) => !names.has(nameOf(value))),
  ]
}

/** What a list's entry is called: a text itself, the `path` of a mapping, the only key of `{path: {flags}}`. */
function nameOf(value: YamlValue | undefined): string | undefined {
  if (typeof value === 'string') return value
  const entries = entriesOf(value)
  if (!entries) return undefined
  const path = entries.find(([key]) => key === 'path')?.[1]
  if (typeof path === 'string') return path
  const [first] = entries
  return entries.length === 1 && first ? String(first[0]) : undefined
}

const asMap = (value: YamlValue): Mapping | undefined => {
  const entries = entriesOf(value)
  return entries && new Map(entries)
}

function editDocument(previous: string, after: YamlValue): string {
  const document = parseDocument(previous.replace(/^\ufeff/, '').replaceAll('\r\n', '\n'), {
    version: '1.2',
    schema: 'failsafe',
    customTags: [EMPTY],
    logLevel: 'error',
  })
  document.contents = applied(document.contents, after) as typeof document.contents
  return document.toString({ indentSeq: false, lineWidth: 80, flowCollectionPadding: false, singleQuote: true, blockQuote: true })
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

const keyOf = (pair: Pair): Scalar => plainOf(pair.key) as Scalar

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
