import type { Scalar } from './python-value.ts'

/** A parsed node that knows its place, so that an error can name it. Lines and columns count from 1. */
export type YamlNode = ScalarNode | SeqNode | MapNode

export interface Place {
  line: number
  column: number
}
export interface ScalarNode extends Place {
  kind: 'scalar'
  value: Scalar
  /** Quoted or a block: a text whatever it looks like. */
  source: string
}
export interface SeqNode extends Place {
  kind: 'seq'
  nodes: readonly YamlNode[]
}
export interface MapNode extends Place {
  kind: 'map'
  entries: readonly MapEntry[]
}
export interface MapEntry {
  key: Scalar
  /** The key as text: `1` for the number 1. */
  name: string
  keyLine: number
  keyColumn: number
  node: YamlNode
}
