import { isDeepStrictEqual } from 'node:util'
import type { Scalar } from './python-value.ts'
import { asMap, editDocument, nameOf, type Mapping } from './yaml-nodes.ts'
import { patchYaml } from './yaml-patch.ts'
import { readYaml, valueOf } from './yaml-read.ts'
import { writeYaml, type YamlValue } from './yaml-text.ts'

export interface EditOptions {
  /** New keys go where the alphabet puts them, when the keys that are there are sorted; else to the end. */
  sorted?: boolean
  /** Keys that stay although the new content does not mention them. */
  kept?: ReadonlySet<string>
}

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
  // A file in the style of our own emitter is written by it; anything else (comments, flow style, anchors) is edited in place,
  // line by line where that gives what is wanted.
  if (writeYaml(before) === previous) return writeYaml(after)
  const plain = previous.replace(/^\ufeff/, '').replaceAll('\r\n', '\n')
  return patchYaml(plain, before, after) ?? editDocument(plain, after)
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
