import { parse as parseToml } from 'smol-toml'
import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import { namePattern } from '../io/glob.ts'
import { parseJson } from './json-value.ts'
import { parsePythonSource } from './python-source.ts'
import { float, int } from './python-value.ts'
import type { ParamsDep } from './stage.ts'
import { mappingOf } from './staleness.ts'
import { plainValue, readYaml } from './yaml-read.ts'

/** Tracked key to value, in the order of the keys as tracked; a whole file gives its top-level keys, sorted. Keys it lacks are absent. */
export type ParamValues = ReadonlyMap<string, unknown>

/**
 * A params file's tracked values. Numbers keep Python's int and float apart (python-value.ts).
 * @throws CairnError FAILED when the text is not what the file's suffix says, or its top is not a mapping
 */
export function readParams(text: string, { path, keys }: Pick<ParamsDep, 'path' | 'keys'>): ParamValues {
  const tree = parseParams(text, path)
  if (keys.length === 0) return new Map([...(mappingOf(tree) ?? [])].toSorted((a, b) => compareCodePoints(a[0], b[0])))
  const found = new Map<string, unknown>()
  for (const key of keys) {
    const value = valueAt(tree, key, path)
    if (value !== undefined) found.set(key, value)
  }
  return found
}

/** The tracked keys that the file lacks. */
export const missingParams = ({ keys }: Pick<ParamsDep, 'keys'>, values: ParamValues): string[] =>
  keys.filter((key) => !values.has(key))

/**
 * A params file's content, by its suffix: JSON, TOML, Python, else YAML. An empty file is an empty mapping.
 * @throws CairnError FAILED, or STAGE_FILE_INVALID for YAML
 */
export function parseParams(text: string, path: string): unknown {
  const suffix = /\.[^./]*$/.exec(path)?.[0].toLowerCase()
  try {
    if (suffix === '.json') return parseJson(text)
    if (suffix === '.py') return parsePythonSource(text)
    if (suffix === '.toml') return fromToml(parseToml(text, { integersAsBigInt: true }))
  } catch (cause) {
    throw new CairnError(
      'FAILED',
      `unable to read parameters from '${path}': ${cause instanceof Error ? cause.message.split('\n')[0] : ''}`,
      { cause },
    )
  }
  const node = readYaml(text, path)
  return node === undefined ? {} : plainValue(node)
}

function fromToml(value: unknown): unknown {
  if (typeof value === 'bigint') return int(value.toString())
  if (typeof value === 'number') return float(value)
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(fromToml)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, fromToml(entry)]))
  return value
}

/** undefined: not there; null is a value. A step may be a shell pattern, as long as it finds a single value. */
function valueAt(tree: unknown, key: string, path: string): unknown {
  const found = key.split('.').reduce<unknown[]>((values, step) => values.flatMap((value) => inside(value, step)), [tree])
  if (found.length > 1) throw new CairnError('FAILED', `'${key}' stands for ${found.length} values of '${path}'`)
  return found[0]
}

function inside(value: unknown, step: string): unknown[] {
  const entries = Array.isArray(value) ? new Map(value.map((each, index) => [String(index), each as unknown])) : mappingOf(value)
  if (entries === undefined) return []
  if (!/[*?[]/.test(step)) return entries.has(step) ? [entries.get(step)] : []
  const matches = namePattern(step)
  return [...entries].filter(([name]) => matches(name)).map(([, each]) => each)
}
