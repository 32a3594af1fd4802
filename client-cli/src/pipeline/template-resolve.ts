import { CairnError } from '@cairn/protocol/error'
import type { Field } from './field-reader.ts'
import type { Scalar } from './python-value.ts'
import { type Bound, type Scope, select, unbind } from './template-scope.ts'
import { type Parsing, piecesOf, pythonText, stepsOf, textOfValue } from './template-text.ts'
import type { MapEntry, ScalarNode, YamlNode } from './yaml-node.ts'
import { entriesOf, type YamlValue } from './yaml-text.ts'

/** Where `${…}` stands, and what it can name there. */
export interface Place {
  /** What errors call it: `stages.train.cmd`. */
  where: string
  file: string
  /** The stage's key, outside of stages undefined: in a stage only scalars may be named, and mappings in a `cmd`. */
  key?: string
  scope: Scope
  parsing?: Parsing
  /** Takes what was named of params files: file, dotted key, value. */
  used?: Map<string, Map<string, unknown>>
}

export function failAt(where: string, { node }: Pick<Field, 'node'>, what: string, file: string): CairnError {
  return new CairnError(
    'STAGE_FILE_INVALID',
    `failed to parse '${where}' in '${file}': ${what}, line ${node.line}, column ${node.column}`,
  )
}

/** The field with every `${…}` in it replaced. @throws CairnError STAGE_FILE_INVALID */
export const resolveField = ({ node, trail }: Field, place: Place): Field => ({ node: resolveNode(node, place), trail })

function resolveNode(node: YamlNode, place: Place): YamlNode {
  if (node.kind === 'seq') return { ...node, nodes: node.nodes.map((each) => resolveNode(each, place)) }
  if (node.kind === 'map') return { ...node, entries: node.entries.map((entry) => resolveEntry(entry, place)) }
  if (typeof node.value !== 'string' || !node.value.includes('${')) return node
  const value = resolveText(node.value, node, place)
  return nodeOf(isBound(value) ? unbind(value) : value, node)
}

function resolveEntry(entry: MapEntry, place: Place): MapEntry {
  const node = resolveNode(entry.node, place)
  if (typeof entry.key !== 'string' || !entry.name.includes('${')) return { ...entry, node }
  const at: ScalarNode = { kind: 'scalar', value: entry.key, source: entry.name, line: entry.keyLine, column: entry.keyColumn }
  const key = resolveText(entry.key, at, place)
  if (isCollection(key)) throw failAt(place.where, { node: at }, 'a mapping or list cannot be a key', place.file)
  const scalar = isBound(key) ? (key as Bound & { kind: 'scalar' }).value : key
  return { ...entry, key: scalar, name: pythonText(scalar), node }
}

const isBound = (value: string | Bound): value is Bound => typeof value === 'object'
const isCollection = (value: string | Bound): boolean => isBound(value) && value.kind !== 'scalar'

/** A text that is one reference gives its value with its type; any other gives a text. */
export function resolveText(text: string, node: ScalarNode, place: Place): string | Bound {
  const pieces = piecesOf(text)
  const [only] = pieces
  if (pieces.length === 1 && only?.kind === 'reference') {
    const bound = lookUp(only.key, node, place)
    if (place.key !== undefined && bound.kind !== 'scalar') throw refused(bound, node, place)
    return bound
  }
  const fail = (what: string) => failAt(place.where, { node }, what, place.file)
  return pieces
    .map((piece) => {
      if (piece.kind === 'text') return piece.text
      const bound = lookUp(piece.key, node, place)
      const allowed = bound.kind === 'scalar' || place.key === undefined || (place.key === 'cmd' && bound.kind === 'map')
      if (!allowed) throw refused(bound, node, place)
      return textOfValue(unbind(bound), fail, place.parsing)
    })
    .join('')
}

function lookUp(key: string, node: ScalarNode, { where, file, scope, used }: Place): Bound {
  const steps = stepsOf(key)
  if (steps === undefined) throw failAt(where, { node }, `'\${${key}}' is not a name like \${a.b} or \${a[0]}`, file)
  const bound = select(scope, steps)
  if (bound === undefined) throw failAt(where, { node }, `Could not find '${steps.join('.')}'`, file)
  const { source, isFile, path } = bound.origin
  if (used && isFile && bound.kind !== 'map') {
    used.set(source, (used.get(source) ?? new Map<string, unknown>()).set(path, unbind(bound)))
  }
  return bound
}

function refused(bound: Bound, node: ScalarNode, { where, file }: Place): CairnError {
  return failAt(where, { node }, `Cannot interpolate data of type '${bound.kind === 'map' ? 'dict' : 'list'}'`, file)
}

/** A value at the place of the text that named it. */
function nodeOf(value: YamlValue, place: YamlNode): YamlNode {
  const { line, column } = place
  if (Array.isArray(value)) return { kind: 'seq', line, column, nodes: (value as YamlValue[]).map((each) => nodeOf(each, place)) }
  const entries = entriesOf(value)
  if (entries) {
    const at = { keyLine: line, keyColumn: column }
    return {
      kind: 'map',
      line,
      column,
      entries: entries.map(([key, each]) => ({ key, name: pythonText(key), node: nodeOf(each, place), ...at })),
    }
  }
  return { kind: 'scalar', value: value as Scalar, source: pythonText(value), line, column }
}
