import { CairnError } from '@cairn/protocol/error'
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  Scalar as YamlScalar,
  type Document,
} from 'yaml'
import type { Scalar } from './python-value.ts'
import { readBlockYaml } from './yaml-block.ts'
import type { MapEntry, Place, ScalarNode, YamlNode } from './yaml-node.ts'
import { resolvePlain } from './yaml-scalar.ts'
import type { YamlValue } from './yaml-text.ts'

/** Nodes reached through aliases: ten lines can name a billion nodes that way. */
const MAX_ALIASED = 100_000

/** How errors name a stage file. */
export const display = (file: string): string => (file.includes('/') ? `'${file}'` : `'./${file}'`)

/**
 * Parses one YAML document (1.2; `<<` and anchors work). An empty document is undefined.
 * @throws CairnError STAGE_FILE_INVALID naming the file, line and column
 */
export function readYaml(text: string, file: string): YamlNode | undefined {
  return readBlockYaml(text) ?? readAnyYaml(text, file)
}

/** The same for any YAML, comments, flow style and mistakes included. */
export function readAnyYaml(text: string, file: string): YamlNode | undefined {
  const lines = new LineCounter()
  const document = parseDocument(text.replace(/^\ufeff/, ''), {
    version: '1.2',
    schema: 'failsafe',
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    logLevel: 'error',
  })
  const [error] = document.errors
  if (error) throw invalid(text, file, error.message, lines.linePos(error.pos[0]))
  if (document.contents === null) return undefined
  const node = convert(document.contents, { document, lines, file, left: MAX_ALIASED, open: new Set() })
  return node.kind === 'scalar' && node.value === null ? undefined : node
}

function invalid(text: string, file: string, message: string, at: { line: number; col: number }): CairnError {
  if (/^(?:<{7} |={7}$|>{7} )/m.test(text)) {
    return new CairnError('STAGE_FILE_INVALID', `${display(file)} is invalid (possible merge conflicts)`, {
      hint: `resolve the conflict markers in ${display(file)}`,
    })
  }
  const [what = ''] = message.split('\n')
  return new CairnError(
    'STAGE_FILE_INVALID',
    `${display(file)} is invalid: ${what.replace(/[.:]$/, '')}, line ${at.line}, column ${at.col}`,
  )
}

interface Conversion {
  document: Document.Parsed
  lines: LineCounter
  file: string
  left: number
  /** Anchors that are being followed: an alias inside of its own anchor would never end. */
  open: Set<Node>
}

function convert(node: Node, state: Conversion): YamlNode {
  const { line, col: column } = state.lines.linePos(node.range?.[0] ?? 0)
  if (state.open.size > 0 && --state.left < 0)
    throw new CairnError('STAGE_FILE_INVALID', `${display(state.file)} is invalid: too many aliases`)
  if (isAlias(node)) return followAlias(node, state, { line, column })
  if (isScalar(node)) return { kind: 'scalar', line, column, ...scalarOf(node) }
  if (isSeq(node)) return { kind: 'seq', line, column, nodes: node.items.map((each) => convert(each as Node, state)) }
  if (isMap(node))
    return {
      kind: 'map',
      line,
      column,
      entries: mergeKeys(
        node.items.flatMap((pair) => entryOf(pair, state, { line, column })),
        state.file,
      ),
    }
  throw new CairnError('STAGE_FILE_INVALID', `${display(state.file)} is invalid: unexpected node, line ${line}, column ${column}`)
}

function followAlias(node: Node, state: Conversion, place: Place): YamlNode {
  const target = isAlias(node) ? node.resolve(state.document) : undefined
  if (!target || state.open.has(target)) {
    throw new CairnError(
      'STAGE_FILE_INVALID',
      `${display(state.file)} is invalid: unresolved alias, line ${place.line}, column ${place.column}`,
    )
  }
  state.open.add(target)
  const converted = convert(target, state)
  state.open.delete(target)
  return { ...converted, ...place }
}

function scalarOf(node: YamlScalar): { value: Scalar; source: string } {
  const source = typeof node.value === 'string' ? node.value : ''
  const plain = node.type === undefined || node.type === YamlScalar.PLAIN
  return { value: plain ? resolvePlain(source) : source, source }
}

function entryOf(pair: unknown, state: Conversion, place: Place): MapEntry[] {
  if (!isPair(pair)) return []
  const key = convert(pair.key as Node, state)
  if (key.kind !== 'scalar') {
    throw new CairnError(
      'STAGE_FILE_INVALID',
      `${display(state.file)} is invalid: a key is not a scalar, line ${key.line}, column ${key.column}`,
    )
  }
  const empty: ScalarNode = { kind: 'scalar', value: null, source: '', line: key.line || place.line, column: key.column }
  const node = pair.value ? convert(pair.value as Node, state) : empty
  return [{ key: key.value, name: key.source, keyLine: key.line, keyColumn: key.column, node }]
}

/** `<<: *base`: the entries of `base` that the mapping does not have itself. */
function mergeKeys(entries: readonly MapEntry[], file: string): MapEntry[] {
  if (!entries.some((entry) => entry.key === '<<')) return [...entries]
  const own = entries.filter((entry) => entry.key !== '<<')
  const names = new Set(own.map((entry) => entry.name))
  for (const entry of entries) {
    if (entry.key !== '<<') continue
    for (const base of entry.node.kind === 'seq' ? entry.node.nodes : [entry.node]) {
      if (base.kind !== 'map')
        throw new CairnError('STAGE_FILE_INVALID', `${display(file)} is invalid: '<<' needs a mapping, line ${entry.keyLine}`)
      for (const inherited of base.entries) {
        if (names.has(inherited.name)) continue
        names.add(inherited.name)
        own.push(inherited)
      }
    }
  }
  return own
}

/** The value without its places. Mappings become a `Map`. */
export function valueOf(node: YamlNode): YamlValue {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'seq') return node.nodes.map(valueOf)
  return new Map(node.entries.map((entry) => [entry.key, valueOf(entry.node)]))
}

/**
 * The value as JavaScript has it: mappings become objects, except those with a key that is no string or looks like a number,
 * whose order an object would lose; those stay a `Map`.
 */
export function plainValue(node: YamlNode): unknown {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'seq') return node.nodes.map(plainValue)
  const entries = node.entries.map((entry) => [entry.key, plainValue(entry.node)] as const)
  const ordinary = node.entries.every(({ key }) => typeof key === 'string' && !/^[0-9]+$/.test(key))
  return ordinary ? Object.fromEntries(entries.map(([key, value]) => [String(key), value])) : new Map(entries)
}
