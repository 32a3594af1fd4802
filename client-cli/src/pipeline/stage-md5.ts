import { createHash } from 'node:crypto'
import { asciiJson, compareCodePoints } from '@cairn/protocol/tree'
import { scalarJson } from './json-value.ts'
import { dumpStage } from './stage-document.ts'
import type { Stage } from './stage.ts'
import { entriesOf } from './yaml-text.ts'

/** Keys that may change without changing what a stage does. `cache` is not among them. */
const LEFT_OUT = new Set([
  'desc',
  'type',
  'labels',
  'meta',
  'locked',
  'frozen',
  'metric',
  'tags',
  'persist',
  'isexec',
  'size',
  'nfiles',
])

/**
 * The checksum of a `.dvc` file's content, the one that `md5:` at its top level holds: of today's imports and of every 2019
 * stage. Differs from `stage.md5` after an edit by hand.
 */
export const stageMd5 = (stage: Stage): string => documentMd5(dumpStage(stage))

/** The same of a parsed document (a `Map` or a plain object). */
export function documentMd5(document: unknown): string {
  const kept = (entriesOf(document) ?? []).filter(
    ([key, value]) => !['md5', 'meta', 'desc'].includes(String(key)) && !(key === 'wdir' && value === '.'),
  )
  return createHash('md5')
    .update(canonicalJson(new Map(kept)))
    .digest('hex')
}

/** JSON as Python's `json.dumps(sort_keys=True)` writes it, without the keys that are left out at every depth. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(', ')}]`
  const entries = entriesOf(value)
  if (entries) {
    const kept = entries.map(([key, each]) => [String(key), each] as const).filter(([key]) => !LEFT_OUT.has(key))
    const sorted = kept.toSorted(([a], [b]) => compareCodePoints(a, b))
    return `{${sorted.map(([key, each]) => `${asciiJson(key)}: ${canonicalJson(each)}`).join(', ')}}`
  }
  return scalarJson(value)
}
