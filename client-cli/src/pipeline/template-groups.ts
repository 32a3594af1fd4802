import type { Field, FieldReader } from './field-reader.ts'
import { failAt, type Place, resolveText } from './template-resolve.ts'
import { bind, type Bound } from './template-scope.ts'
import { pythonText, textOfValue } from './template-text.ts'
import type { ScalarNode, YamlNode } from './yaml-node.ts'

/** Ten lists of ten values would make ten thousand million stages. */
const MOST_MEMBERS = 100_000

/** One of the stages that a foreach or matrix makes: what follows the `@` of its name, and what `item` and `key` are in it. */
export interface Member {
  name: string
  iteration: ReadonlyMap<string, Bound>
}

/** A value to go through. `text` is its part of a name. */
interface Element {
  bound: Bound
  text: string
}

/**
 * The members of `foreach`: a list's values by themselves, or by their index when one of them is a list or mapping; a mapping's
 * by their keys. A name that comes twice is one member, the last.
 */
export function foreachMembers({ node }: Field, place: Place): Member[] {
  const iterable = iterableOf(node, place)
  const names = new Map<string, ReadonlyMap<string, Bound>>()
  if (iterable.kind === 'map') {
    for (const [key, bound] of iterable.entries) names.set(key, new Map([...asItem(bound), ['key', bind(key)]]))
  } else {
    const byIndex = iterable.elements.some(({ bound }) => bound.kind !== 'scalar')
    for (const [index, { bound, text }] of iterable.elements.entries()) names.set(byIndex ? String(index) : text, asItem(bound))
  }
  return [...names].map(([name, iteration]) => ({ name, iteration }))
}

const asItem = (bound: Bound): Map<string, Bound> => new Map([['item', bound]])

type Iterable = { kind: 'list'; elements: Element[] } | { kind: 'map'; entries: Map<string, Bound> }

function iterableOf(node: YamlNode, place: Place): Iterable {
  if (node.kind === 'seq') return { kind: 'list', elements: node.nodes.map((each) => elementOf(each, place)) }
  if (node.kind === 'map') {
    return {
      kind: 'map',
      entries: new Map(node.entries.map((entry) => [keyText(entry, place), elementOf(entry.node, place).bound])),
    }
  }
  const bound = elementOf(node, place).bound
  if (bound.kind === 'scalar')
    throw failAt(place.where, { node }, `expected a list or mapping, got ${typeName(bound.value)}`, place.file)
  return bound.kind === 'map' ? bound : { kind: 'list', elements: bound.entries.map(fromParams) }
}

/** A value of a params file, where the name of true is Python's `True`; written in place it is `true`. */
const fromParams = (bound: Bound): Element => ({ bound, text: bound.kind === 'scalar' ? pythonText(bound.value) : '' })

function elementOf(node: YamlNode, place: Place): Element {
  if (node.kind === 'seq') {
    return {
      bound: { kind: 'list', entries: node.nodes.map((each) => elementOf(each, place).bound), origin: bind(null).origin },
      text: '',
    }
  }
  if (node.kind === 'map') {
    const entries = node.entries.filter(({ key }) => typeof key === 'string')
    const bound = entries.map((entry) => [keyText(entry, place), elementOf(entry.node, place).bound] as const)
    return { bound: { kind: 'map', entries: new Map(bound), origin: bind(null).origin }, text: '' }
  }
  if (typeof node.value !== 'string') return { bound: bind(node.value), text: inPlace(node, place) }
  const value = resolveText(node.value, node, place)
  return typeof value === 'string' ? { bound: bind(value), text: value } : fromParams(value)
}

const inPlace = (node: ScalarNode, place: Place): string =>
  textOfValue(node.value, (what) => failAt(place.where, { node }, what, place.file))

function keyText({ key, keyLine, keyColumn }: { key: unknown; keyLine: number; keyColumn: number }, place: Place): string {
  const node: ScalarNode = { kind: 'scalar', value: null, source: '', line: keyLine, column: keyColumn }
  const fail = (what: string) => failAt(place.where, { node }, what, place.file)
  if (typeof key !== 'string') return textOfValue(key, fail)
  const value = resolveText(key, node, place)
  if (typeof value === 'string') return value
  if (value.kind !== 'scalar') throw fail('a mapping or list cannot be a key')
  return pythonText(value.value)
}

const typeName = (value: unknown): string =>
  value === null ? 'nothing' : typeof value === 'string' ? 'str' : typeof value === 'boolean' ? 'bool' : 'a number'

/** The members of `matrix`: every combination, the last list turning fastest. A list or mapping goes by its list's name and its index. */
export function matrixMembers(field: Field, place: Place, reader: FieldReader): Member[] {
  const axes = [...reader.map(field)].map(([name, { node }]) => ({ name, elements: axisOf(node, place) }))
  if (axes.length === 0) throw failAt(place.where, field, 'expected a list to go through', place.file)
  const count = axes.reduce((product, { elements }) => product * elements.length, 1)
  if (count > MOST_MEMBERS) throw failAt(place.where, field, `${count} stages are too many`, place.file)
  let combinations: Array<ReadonlyArray<{ axis: string; index: number; element: Element }>> = [[]]
  for (const { name, elements } of axes) {
    combinations = combinations.flatMap((before) => elements.map((element, index) => [...before, { axis: name, index, element }]))
  }
  const members = combinations.map((combination): [string, Member] => {
    const name = combination
      .map(({ axis, index, element }) => (element.bound.kind === 'scalar' ? element.text : `${axis}${index}`))
      .join('-')
    const entries = new Map(combination.map(({ axis, element }) => [axis, element.bound]))
    const origin = bind(null).origin
    return [
      name,
      {
        name,
        iteration: new Map([
          ['item', { kind: 'map', entries, origin }],
          ['key', bind(name)],
        ]),
      },
    ]
  })
  return [...new Map(members).values()]
}

function axisOf(node: YamlNode, place: Place): Element[] {
  if (node.kind === 'seq') return node.nodes.map((each) => elementOf(each, place))
  const { bound } = elementOf(node, place)
  if (bound.kind === 'list') return bound.entries.map(fromParams)
  if (bound.kind === 'map') return [...bound.entries.keys()].map((key) => fromParams(bind(key)))
  throw failAt(place.where, { node }, `expected a list, got ${typeName(bound.value)}`, place.file)
}
