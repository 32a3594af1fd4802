import path from 'node:path/posix'
import type { CairnError } from '@cairn/protocol/error'
import { parseParams } from './params.ts'
import type { Scalar } from './python-value.ts'
import { locate } from './stage-path.ts'
import { entriesOf, type YamlValue } from './yaml-text.ts'

/** A value that `${…}` can name, and where it was written. */
export type Bound =
  | { kind: 'scalar'; value: Scalar; origin: Origin }
  | { kind: 'list'; entries: readonly Bound[]; origin: Origin }
  | { kind: 'map'; entries: Map<string, Bound>; origin: Origin }

export interface Origin {
  /** As people know it: `params.yaml`, `vars[0]`. */
  source: string
  /** The source is a params file, root-relative. */
  isFile: boolean
  /** The dotted key within the source. */
  path: string
}

/** What `${…}` can name in a place of dvc.yaml. */
export interface Scope {
  values: Map<string, Bound>
  /** `item` and `key` of a foreach or matrix; they hide values and cannot be redefined. */
  iteration: ReadonlyMap<string, Bound>
  /** Files that were loaded, by path: whole, or only some keys. */
  loaded: Map<string, 'whole' | ReadonlySet<string>>
}

/** An entry of `vars`: a file, or values themselves. */
export type Var = string | ReadonlyMap<Scalar, YamlValue>

export interface VarsSource {
  /** Where files are relative to, root-relative. */
  folder: string
  /** The text of a root-relative file; undefined when there is none. */
  readText(file: string): Promise<string | undefined>
  /** What the list is called: `vars`, `train.vars`. */
  label: string
  fail(what: string): CairnError
}

const NO_ORIGIN: Origin = { source: '', isFile: false, path: '' }

export const emptyScope = (): Scope => ({ values: new Map(), iteration: new Map(), loaded: new Map() })

export const within = (scope: Scope, iteration: ReadonlyMap<string, Bound>): Scope => ({ ...scope, iteration })

/** A scope that can take more values without the given one noticing. */
export const fork = (scope: Scope): Scope => ({
  ...scope,
  values: forkMap(scope.values),
  loaded: new Map(scope.loaded),
})

function forkMap(values: ReadonlyMap<string, Bound>): Map<string, Bound> {
  return new Map(
    [...values].map(([key, bound]) => [key, bound.kind === 'map' ? { ...bound, entries: forkMap(bound.entries) } : bound]),
  )
}

/** A plain value with its origin. Keys that are no text cannot be named, and are left out. */
export function bind(value: unknown, origin: Origin = NO_ORIGIN): Bound {
  const inner = (key: string | number): Origin => ({
    ...origin,
    path: origin.path === '' ? String(key) : `${origin.path}.${key}`,
  })
  const entries = entriesOf(value)
  if (entries) {
    const named = entries.flatMap(([key, each]) => (typeof key === 'string' ? [[key, bind(each, inner(key))] as const] : []))
    return { kind: 'map', entries: new Map(named), origin }
  }
  if (Array.isArray(value)) return { kind: 'list', entries: value.map((each, index) => bind(each, inner(index))), origin }
  return { kind: 'scalar', value: value as Scalar, origin }
}

/** The value without its origin. */
export function unbind(bound: Bound): YamlValue {
  if (bound.kind === 'scalar') return bound.value
  if (bound.kind === 'list') return bound.entries.map(unbind)
  return new Map([...bound.entries].map(([key, each]) => [key, unbind(each)]))
}

/** The value at a key's steps; undefined when there is none. */
export function select({ values, iteration }: Scope, [first = '', ...rest]: readonly string[]): Bound | undefined {
  let at = iteration.get(first) ?? values.get(first)
  for (const step of rest) at = at && inside(at, step)
  return at
}

function inside(bound: Bound, step: string): Bound | undefined {
  if (bound.kind === 'map') return bound.entries.get(step)
  return bound.kind === 'list' && /^[-+]?\d+$/.test(step) ? bound.entries.at(Number(step)) : undefined
}

/** Adds a `vars` list to a scope. @throws the source's error for files that cannot be loaded and values that are there already */
export async function loadVars(scope: Scope, vars: readonly Var[], source: VarsSource): Promise<void> {
  for (const [index, entry] of vars.entries()) {
    if (typeof entry === 'string') await loadFile(scope, entry, source)
    else mergeInto(scope, bind(entry, { source: `${source.label}[${index}]`, isFile: false, path: '' }), source)
  }
}

/** Adds the params.yaml of the folder, when there is one. */
export async function loadDefault(scope: Scope, source: VarsSource): Promise<void> {
  if ((await source.readText(path.join(source.folder, 'params.yaml'))) !== undefined) await loadFile(scope, 'params.yaml', source)
}

async function loadFile(scope: Scope, entry: string, source: VarsSource): Promise<void> {
  const [name = '', ...after] = entry.split(':')
  const file = locate(source.folder, name)
  const keys = after
    .join(':')
    .split(',')
    .filter((key) => key !== '')
  const loaded = scope.loaded.get(file)
  if (loaded === 'whole' && keys.length === 0) return
  if (loaded === 'whole') throw source.fail(`cannot partially load '${entry}' as it's already loaded`)
  if (loaded && (keys.length === 0 || keys.some((key) => loaded.has(key)))) {
    throw source.fail(`cannot load '${entry}' as it's partially loaded already`)
  }
  const values = await readValues(file, source)
  for (const key of keys) if (!values.entries.has(key)) throw source.fail(`could not find '${key}' in '${file}'`)
  const wanted = keys.length === 0 ? values.entries : new Map([...values.entries].filter(([key]) => keys.includes(key)))
  mergeInto(scope, { ...values, entries: wanted }, source)
  scope.loaded.set(file, keys.length === 0 ? 'whole' : new Set([...(loaded ?? []), ...keys]))
}

type BoundMap = Bound & { kind: 'map' }

async function readValues(file: string, { readText, fail }: VarsSource): Promise<BoundMap> {
  const text = await readText(file)
  if (text === undefined) throw fail(`'${file}' does not exist`)
  const bound = bind(parseParams(text, file), { source: file, isFile: true, path: '' })
  if (bound.kind !== 'map') throw fail(`expected a mapping in file '${file}', got a ${bound.kind}`)
  return bound
}

function mergeInto(scope: Scope, update: Bound, source: VarsSource): void {
  if (update.kind !== 'map') return
  const reserved = [...update.entries.keys()].filter((key) => scope.iteration.has(key))
  if (reserved.length > 0) throw source.fail(`attempted to modify reserved key '${reserved.join(', ')}'`)
  mergeMaps(scope.values, update.entries, source)
}

/** Mappings grow together, anything else can be said only once. */
function mergeMaps(into: Map<string, Bound>, update: ReadonlyMap<string, Bound>, source: VarsSource): void {
  for (const [key, bound] of update) {
    const known = into.get(key)
    if (known?.kind === 'map' && bound.kind === 'map') mergeMaps(known.entries, bound.entries, source)
    else if (known) {
      const { origin } = bound
      throw source.fail(
        `cannot redefine '${origin.path}' from '${origin.source}' as it already exists in '${known.origin.source}'`,
      )
    } else into.set(key, bound)
  }
}
