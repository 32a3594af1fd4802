import { CairnError } from '@cairn/protocol/error'
import type { MapNode, YamlNode } from './yaml-node.ts'
import { display, plainValue } from './yaml-read.ts'

/** One key of a mapping with the words that lead to it: `outs -> 0 -> md5`. */
export interface Field {
  node: YamlNode
  trail: readonly string[]
}

/** Reads a stage file's fields strictly: every error is one line with file, key and place. */
export interface FieldReader {
  file: string
  fail(what: string, field: Field): CairnError
  map(field: Field): Map<string, Field>
  /** @throws CairnError STAGE_FILE_INVALID on a key that is not among `allowed` */
  only(fields: ReadonlyMap<string, Field>, allowed: ReadonlySet<string>): void
  list(field: Field | undefined): Field[]
  /** Null and the empty string are absent. */
  text(field: Field | undefined): string | undefined
  flag(field: Field | undefined): boolean | undefined
  count(field: Field | undefined): number | undefined
  plain(field: Field): unknown
}

export function readFields(file: string): FieldReader {
  const fail = (what: string, { node, trail }: Field): CairnError => {
    const where = trail.length > 0 ? `, in ${trail.join(' -> ')}` : ''
    return new CairnError(
      'STAGE_FILE_INVALID',
      `${display(file)} validation failed: ${what}${where}, line ${node.line}, column ${node.column}`,
    )
  }
  return {
    file,
    fail,
    map(field) {
      if (field.node.kind !== 'map') throw fail('expected a mapping', field)
      return new Map(field.node.entries.map((entry) => [entry.name, { node: entry.node, trail: [...field.trail, entry.name] }]))
    },
    only(fields, allowed) {
      for (const [name, field] of fields) {
        if (!allowed.has(name)) throw fail(`extra keys not allowed`, field)
      }
    },
    list(field) {
      if (field === undefined || isNull(field)) return []
      if (field.node.kind !== 'seq') throw fail('expected a list', field)
      return field.node.nodes.map((node, index) => ({ node, trail: [...field.trail, String(index)] }))
    },
    text(field) {
      if (field === undefined || isNull(field)) return undefined
      if (field.node.kind !== 'scalar' || typeof field.node.value !== 'string') throw fail('expected str', field)
      return field.node.value === '' ? undefined : field.node.value
    },
    flag(field) {
      if (field === undefined || isNull(field)) return undefined
      if (field.node.kind !== 'scalar' || typeof field.node.value !== 'boolean') throw fail('expected bool', field)
      return field.node.value
    },
    count(field) {
      if (field === undefined || isNull(field)) return undefined
      if (
        field.node.kind !== 'scalar' ||
        typeof field.node.value !== 'number' ||
        !Number.isInteger(field.node.value) ||
        field.node.value < 0
      ) {
        throw fail('expected int', field)
      }
      return field.node.value
    },
    plain: (field) => plainValue(field.node),
  }
}

export const isNull = (field: Field): boolean => field.node.kind === 'scalar' && field.node.value === null

export const rootField = (node: MapNode): Field => ({ node, trail: [] })
