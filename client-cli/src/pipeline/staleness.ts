import type { Digest } from '@cairn/protocol/digest'
import { Float, isNumber, numberOf } from './python-value.ts'
import type { Out, Stage } from './stage.ts'

/** A stage's surroundings as they stand now; observe.ts looks, everything here only compares. Keys are paths as in the stage. */
export interface Seen {
  /** undefined: nothing there. Imported deps are not looked at and absent. */
  deps: ReadonlyMap<string, Digest | undefined>
  /** Tracked key to value; undefined: no such file. */
  params: ReadonlyMap<string, ReadonlyMap<string, unknown> | undefined>
  outs: ReadonlyMap<string, SeenOut>
  /** The checksum that the file carries no longer fits its text. */
  editedByHand?: boolean
}

export interface SeenOut {
  /** undefined: nothing there. */
  digest: Digest | undefined
  /** Everything that was recorded for it is in the cache. */
  cached: boolean
}

export type State = 'modified' | 'deleted' | 'new' | 'not in cache'

/** Why a stage is not as its last run left it. */
export type Change =
  | { kind: 'dep' | 'out'; path: string; state: State }
  | { kind: 'param'; path: string; key: string; state: State }
  | { kind: 'command' }
  | { kind: 'checksum' }
  | { kind: 'always' }

/** In the order in which they are told: deps, params, outs, the command. */
export function changesOf(stage: Stage, seen: Seen): Change[] {
  return [
    ...(stage.frozen ? [] : [...depChanges(stage, seen), ...paramChanges(stage, seen)]),
    ...outChanges(stage, seen),
    ...ownChanges(stage, seen),
  ]
}

function depChanges(stage: Stage, seen: Seen): Change[] {
  return stage.deps.flatMap((dep): Change[] => {
    if (!seen.deps.has(dep.path)) return []
    const digest = seen.deps.get(dep.path)
    if (digest === undefined) return [{ kind: 'dep', path: dep.path, state: 'deleted' }]
    return digest === dep.recorded?.digest ? [] : [{ kind: 'dep', path: dep.path, state: 'modified' }]
  })
}

function paramChanges(stage: Stage, seen: Seen): Change[] {
  return stage.params.flatMap(({ path, keys, recorded }): Change[] => {
    const values = seen.params.get(path)
    if (values === undefined) return [{ kind: 'dep', path, state: 'deleted' }]
    if (recorded === undefined) return [{ kind: 'dep', path, state: 'new' }]
    const tracked = keys.length > 0 ? keys : values.keys()
    return [...new Set([...tracked, ...Object.keys(recorded)])].flatMap((key): Change[] => {
      const state = paramState(key, values, recorded)
      return state === undefined ? [] : [{ kind: 'param', path, key, state }]
    })
  })
}

function paramState(
  key: string,
  values: ReadonlyMap<string, unknown>,
  recorded: Readonly<Record<string, unknown>>,
): State | undefined {
  if (!values.has(key)) return 'deleted'
  if (!Object.hasOwn(recorded, key)) return 'new'
  return sameValue(values.get(key), recorded[key]) ? undefined : 'modified'
}

function outChanges(stage: Stage, seen: Seen): Change[] {
  return stage.outs.flatMap((out): Change[] => {
    const state = outState(out, seen.outs.get(out.path))
    return state === undefined ? [] : [{ kind: 'out', path: out.path, state }]
  })
}

function outState(out: Out, now: SeenOut | undefined): State | undefined {
  if (out.cache && out.recorded && now?.cached === false) return 'not in cache'
  if (now?.digest === undefined) return 'deleted'
  return now.digest === out.recorded?.digest ? undefined : 'modified'
}

function ownChanges(stage: Stage, seen: Seen): Change[] {
  const changes: Change[] = []
  if (stage.kind === 'pipeline' && !stage.frozen && !sameValue(stage.cmd, stage.lockedCmd)) changes.push({ kind: 'command' })
  if (seen.editedByHand) changes.push({ kind: 'checksum' })
  if (stage.alwaysChanged || isCallback(stage)) changes.push({ kind: 'always' })
  return changes
}

/** A command that reads and makes nothing is there for its effect, and runs every time. */
const isCallback = (stage: Stage): boolean =>
  stage.cmd !== undefined && stage.deps.length === 0 && stage.params.length === 0 && stage.outs.length === 0

/**
 * What to do about a stage. `checkout`: nothing changed but that outs are gone, which the cache has. `commit`: there is no
 * command to run (or it is frozen), so what stands in the workspace is taken as it is.
 */
export type Verdict = 'fresh' | 'checkout' | 'commit' | 'run'

export function decide(stage: Stage, changes: readonly Change[], seen: Seen): Verdict {
  const counting = changes.filter((change) => !stage.frozen || change.kind === 'out')
  if (counting.length === 0) return 'fresh'
  if (counting.every((change) => change.kind === 'out' && change.state === 'deleted' && isRestorable(stage, change.path, seen)))
    return 'checkout'
  return stage.cmd === undefined || stage.frozen ? 'commit' : 'run'
}

function isRestorable(stage: Stage, path: string, seen: Seen): boolean {
  const out = stage.outs.find((one) => one.path === path)
  return out?.cache === true && out.recorded !== undefined && seen.outs.get(path)?.cached === true
}

/** Equality of values from YAML, JSON and TOML: the int 1 equals the float 1.0, a mapping's order does not count. */
export function sameValue(one: unknown, other: unknown): boolean {
  if (isNumber(one) && isNumber(other))
    return typeof one === 'bigint' && typeof other === 'bigint'
      ? one === other
      : Object.is(numberOf(one) + 0, numberOf(other) + 0)
  if (Array.isArray(one) || Array.isArray(other)) {
    return (
      Array.isArray(one) &&
      Array.isArray(other) &&
      one.length === other.length &&
      one.every((value, index) => sameValue(value, other[index]))
    )
  }
  const [left, right] = [mappingOf(one), mappingOf(other)]
  if (left && right)
    return left.size === right.size && [...left].every(([key, value]) => right.has(key) && sameValue(value, right.get(key)))
  return Object.is(one, other)
}

/** A mapping's entries by the text of their keys; undefined for anything else. */
export function mappingOf(value: unknown): Map<string, unknown> | undefined {
  if (value instanceof Map) return new Map([...(value as Map<unknown, unknown>)].map(([key, entry]) => [String(key), entry]))
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Float || value instanceof Date)
    return undefined
  return new Map(Object.entries(value))
}
