import { isDeepStrictEqual } from 'node:util'
import { CairnError } from '@cairn/protocol/error'
import { isMap, isScalar, isSeq, type Pair, type YAMLMap, type YAMLSeq } from 'yaml'
import type { Scalar } from './python-value.ts'
import { asMap, flowText, keyOf, nameOf, parseNodes, type Mapping } from './yaml-nodes.ts'
import { readYaml, valueOf } from './yaml-read.ts'
import { writeEntries, type YamlValue } from './yaml-text.ts'

interface Splice {
  from: number
  to: number
  text: string
}

/** Thrown, never seen outside: the text is laid out in a way that lines alone cannot change. */
const BEYOND = new Error('beyond lines')

/**
 * The text with `after` instead of `before`, which is what it holds: only the lines of what differs change, every other byte
 * stays. undefined where that cannot be done; the text has no byte order mark and only line feeds.
 */
export function patchYaml(text: string, before: YamlValue, after: YamlValue): string | undefined {
  const whole = text.endsWith('\n') ? text : `${text}\n`
  const { contents, errors } = parseNodes(whole)
  const [old, wanted] = [asMap(before), asMap(mapped(after))]
  if (errors.length > 0 || !old || !wanted || !isMap(contents) || contents.flow) return undefined
  try {
    const splices: Splice[] = []
    patchMap({ text: whole, splices }, contents, old, wanted)
    const patched = spliced(whole, splices)
    const node = readYaml(patched, '')
    return node && isDeepStrictEqual(valueOf(node), wanted) ? patched : undefined
  } catch (error) {
    if (error === BEYOND || error instanceof CairnError) return undefined
    throw error
  }
}

/** The value with a `Map` for each mapping, as a file's is read. */
function mapped(value: YamlValue): YamlValue {
  if (Array.isArray(value)) return (value as readonly YamlValue[]).map(mapped)
  const entries = asMap(value)
  return entries ? new Map([...entries].map(([key, each]) => [key, mapped(each)])) : value
}

interface Patch {
  text: string
  splices: Splice[]
}

function patchMap(patch: Patch, node: YAMLMap, before: Mapping, wanted: Mapping): void {
  const pairs = new Map<Scalar, Pair>(node.items.map((pair) => [keyOf(pair), pair]))
  const [first] = node.items
  if (!first || wanted.size === 0) throw BEYOND
  const indent = columnAt(patch.text, startOf(first.key))
  let place = lineStart(patch.text, startOf(first.key))
  for (const [key, pair] of pairs) {
    if (!wanted.has(key) && key !== '<<') cut(patch, startOf(pair.key), endOf(patch.text, pair))
  }
  for (const [key, value] of wanted) {
    const pair = pairs.get(key)
    if (pair) {
      if (!isDeepStrictEqual(before.get(key), value)) patchPair(patch, pair, before.get(key) ?? null, value)
      place = lineEnd(patch.text, endOf(patch.text, pair))
    } else if (!before.has(key) || !isDeepStrictEqual(before.get(key), value)) {
      insert(patch, place, writeEntries([[key, value]], indent))
    }
  }
}

function patchPair(patch: Patch, pair: Pair, before: YamlValue, after: YamlValue): void {
  if (patchNested(patch, pair.value, before, after)) return
  const start = startOf(pair.key)
  const indent = columnAt(patch.text, start)
  const text = writeEntries([[keyOf(pair), after]], indent).slice(indent)
  patch.splices.push({ from: start, to: beforeBreak(patch.text, endOf(patch.text, pair)), text: text.replace(/\n$/, '') })
}

/** False when the value must be written anew as a whole. */
function patchNested(patch: Patch, node: unknown, before: YamlValue, after: YamlValue): boolean {
  const [old, fresh] = [asMap(before), asMap(after)]
  if (isMap(node) && old && fresh && !node.flow && fresh.size > 0) {
    patchMap(patch, node, old, fresh)
    return true
  }
  if (isSeq(node) && Array.isArray(before) && Array.isArray(after) && !node.flow && after.length > 0) {
    patchList(patch, node, before as YamlValue[], after as YamlValue[])
    return true
  }
  if ((isMap(node) && fresh && fresh.size > 0) || (isSeq(node) && Array.isArray(after) && after.length > 0)) {
    const [from, to] = node.range ?? []
    if (from === undefined || to === undefined) throw BEYOND
    patch.splices.push({ from, to, text: flowText(node, after) })
    return true
  }
  return false
}

function patchList(patch: Patch, node: YAMLSeq, before: readonly YamlValue[], after: readonly YamlValue[]): void {
  const { text } = patch
  const starts = node.items.map((each) => dashOf(text, startOf(each)))
  const [first] = starts
  if (first === undefined) throw BEYOND
  const indent = columnAt(text, first)
  const kept = aligned(before, after)
  const end = (at: number) => lineEnd(text, endOf(text, node.items[at]))
  let place = lineStart(text, first)
  for (const at of before.keys()) if (!kept.includes(at)) cut(patch, starts[at] ?? 0, endOf(text, node.items[at]))
  for (const [index, value] of after.entries()) {
    const at = kept[index]
    if (at === undefined) {
      insert(patch, place, writeEntries([['', [value]]], indent).replace(/^.*\n/, ''))
      continue
    }
    const same = isDeepStrictEqual(before[at], value)
    if (!same && !patchNested(patch, node.items[at], before[at] ?? null, value)) throw BEYOND
    place = end(at)
  }
}

/** For each new entry the old one that it is, in order; an entry that only moved is a new one. */
function aligned(before: readonly YamlValue[], after: readonly YamlValue[]): Array<number | undefined> {
  let next = 0
  return after.map((value) => {
    const name = nameOf(value)
    const isIt = (old: YamlValue, at: number) =>
      at >= next && (name === undefined ? isDeepStrictEqual(old, value) : typeof old === typeof value && nameOf(old) === name)
    const at = before.findIndex(isIt)
    if (at < 0) return undefined
    next = at + 1
    return at
  })
}

/** Whole lines go, or nothing: what shares its line with something else is beyond this. */
function cut({ text, splices }: Patch, start: number, end: number): void {
  const from = lineStart(text, start)
  if (text.slice(from, start).trim() !== '') throw BEYOND
  splices.push({ from, to: lineEnd(text, end), text: '' })
}

function insert({ text, splices }: Patch, place: number, lines: string): void {
  if (place > 0 && text[place - 1] !== '\n') throw BEYOND
  splices.push({ from: place, to: place, text: lines })
}

function spliced(text: string, splices: readonly Splice[]): string {
  let result = ''
  let at = 0
  for (const { from, to, text: fresh } of splices.toSorted((a, b) => a.from - b.from)) {
    if (from < at) throw BEYOND
    result += text.slice(at, from) + fresh
    at = to
  }
  return result + text.slice(at)
}

function startOf(node: unknown): number {
  const range = isScalar(node) || isMap(node) || isSeq(node) ? node.range : undefined
  if (!range) throw BEYOND
  return range[0]
}

/** Where the content of a pair or a node ends; behind its line break for a block of text. */
function endOf(text: string, node: unknown): number {
  if (isPairLike(node)) {
    const { key, value } = node
    const keyEnd = isScalar(key) ? key.range?.[1] : undefined
    if (keyEnd === undefined) throw BEYOND
    return value === null || (isScalar(value) && value.value === null) ? text.indexOf(':', keyEnd) + 1 : endOf(text, value)
  }
  if ((isMap(node) || isSeq(node)) && !node.flow) return endOf(text, node.items.at(-1))
  const end = isScalar(node) || isMap(node) || isSeq(node) ? node.range?.[1] : undefined
  if (end === undefined) throw BEYOND
  let at = end
  // Empty lines behind a block of text are counted to it, and part it from what follows.
  while (at > 1 && text[at - 1] === '\n' && text[at - 2] === '\n') at--
  return at
}

const isPairLike = (node: unknown): node is Pair => typeof node === 'object' && node !== null && 'key' in node && 'value' in node

const lineStart = (text: string, at: number): number => text.lastIndexOf('\n', at - 1) + 1
const columnAt = (text: string, at: number): number => at - lineStart(text, at)
const beforeBreak = (text: string, at: number): number => (text[at - 1] === '\n' ? at - 1 : at)

function lineEnd(text: string, at: number): number {
  return text[at - 1] === '\n' ? at : text.indexOf('\n', at) + 1
}

/** An entry begins at its dash, which stands before it in its line. */
function dashOf(text: string, start: number): number {
  const from = lineStart(text, start)
  const dash = /^ *-(?= |$)/.exec(text.slice(from, start).replace(/\n$/, ''))?.[0]
  if (dash === undefined) throw BEYOND
  return from + dash.length - 1
}
