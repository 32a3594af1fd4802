import type { MapEntry, Place, ScalarNode, YamlNode } from './yaml-node.ts'
import { resolvePlain } from './yaml-scalar.ts'

const WORD = /^-?[A-Za-z0-9_./][A-Za-z0-9_./ *@+-]*$/

/** `[a, b]` and `{a: b}` of plain words on one line; undefined for anything else, which the whole parser reads. */
export function readFlow(text: string, place: Place): YamlNode | undefined {
  const inner = text.slice(1, -1)
  if (text.startsWith('[') && text.endsWith(']')) {
    const nodes = parts(inner).map(({ part, offset }) => wordOf(part, { ...place, column: place.column + 1 + offset }))
    return nodes.every((node) => node !== undefined) ? { kind: 'seq', ...place, nodes } : undefined
  }
  if (!text.startsWith('{') || !text.endsWith('}')) return undefined
  const entries = parts(inner).map(({ part, offset }) => entryOf(part, { ...place, column: place.column + 1 + offset }))
  const names = new Set(entries.map((entry) => entry?.name))
  if (!entries.every((entry) => entry !== undefined) || names.size < entries.length) return undefined
  return { kind: 'map', ...place, entries }
}

function parts(inner: string): Array<{ part: string; offset: number }> {
  if (inner === '') return []
  let offset = 0
  return inner.split(',').map((raw) => {
    const part = raw.replace(/^ +/, '')
    const start = offset + raw.length - part.length
    offset += raw.length + 1
    return { part: part.replace(/ +$/, ''), offset: start }
  })
}

function wordOf(text: string, place: Place): ScalarNode | undefined {
  return WORD.test(text) ? { kind: 'scalar', value: resolvePlain(text), source: text, ...place } : undefined
}

function entryOf(text: string, place: Place): MapEntry | undefined {
  const cut = text.indexOf(': ')
  if (cut < 0) return undefined
  const rest = text.slice(cut + 1).replace(/^ +/, '')
  const key = wordOf(text.slice(0, cut), place)
  const node = wordOf(rest, { line: place.line, column: place.column + text.length - rest.length })
  return key && node && { key: key.value, name: key.source, keyLine: place.line, keyColumn: place.column, node }
}
