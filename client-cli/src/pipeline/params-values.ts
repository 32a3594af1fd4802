import { shellPattern } from './match-stages.ts'
import { type Content, type Naming, readContent } from './read-content.ts'
import type { RevisionContent } from './revision-content.ts'
import { entriesOf } from './yaml-text.ts'

const DEFAULT_FILE = 'params.yaml'

/**
 * The params of a revision, by root-relative file: those that stages depend on; without `depsOnly` also the files named at the
 * top of dvc.yaml and the root's params.yaml. `targets`: these files instead, whole.
 */
export async function paramValuesOf(
  content: RevisionContent,
  { targets, depsOnly, name }: { targets: readonly string[]; depsOnly: boolean; name: Naming },
): Promise<Map<string, Content>> {
  const wanted = targets.length > 0 ? new Map(targets.map((target) => [target, []])) : await trackedParams(content, depsOnly)
  const values = new Map<string, Content>()
  for (const [location, keys] of wanted) {
    for (const file of await content.expand(location)) values.set(file, selected(await readContent(content, file, name), keys))
  }
  if (targets.length === 0) for (const [file, used] of usedByTemplates(content)) if (!values.has(file)) values.set(file, used)
  return values
}

/** What the templates of dvc.yaml took from files that are no params otherwise. */
function usedByTemplates({ pipelines }: RevisionContent): Map<string, { data: Map<string, unknown> }> {
  const used = new Map<string, { data: Map<string, unknown> }>()
  for (const { template } of pipelines.stages) {
    for (const [file, values] of template?.used ?? [])
      used.set(file, { data: new Map([...(used.get(file)?.data ?? []), ...values]) })
  }
  return used
}

/** File to keys; no keys: the whole file, which one stage is enough for. */
async function trackedParams(content: RevisionContent, depsOnly: boolean): Promise<Map<string, readonly string[]>> {
  const { stages, files } = content.pipelines
  const entries: Array<{ path: string; keys: readonly string[] }> = stages.flatMap((stage) => stage.params)
  if (!depsOnly) {
    entries.push(...[...files.values()].flatMap((file) => file.params).map((location) => ({ path: location, keys: [] })))
    if ('bytes' in (await content.read(DEFAULT_FILE))) entries.push({ path: DEFAULT_FILE, keys: [] })
  }
  const whole = new Set(entries.filter(({ keys }) => keys.length === 0).map((entry) => entry.path))
  const tracked = new Map<string, readonly string[]>()
  for (const { path: location, keys } of entries)
    tracked.set(location, whole.has(location) ? [] : [...new Set([...(tracked.get(location) ?? []), ...keys])])
  return tracked
}

function selected(content: Content, keys: readonly string[]): Content {
  if (keys.length === 0 || 'error' in content) return content
  return { data: select(content.data, keys) }
}

/** The part of a value that the keys name: `a.b`, `a.0`, and `*` and `?` in a step. */
export function select(value: unknown, keys: readonly string[]): unknown {
  const paths = keys.map((key) => key.split('.'))
  return selectSteps(value, paths) ?? new Map()
}

function selectSteps(value: unknown, paths: ReadonlyArray<readonly string[]>): unknown {
  if (paths.some((steps) => steps.length === 0)) return value
  if (Array.isArray(value)) {
    const found = value.map((each, at) => selectSteps(each, following(paths, String(at))))
    const last = found.findLastIndex((each) => each !== undefined)
    return last < 0 ? undefined : found.slice(0, last + 1).map((each) => each ?? null)
  }
  const entries = entriesOf(value) ?? []
  const kept = entries.map(([key, each]) => [key, selectSteps(each, following(paths, String(key)))] as const)
  const found = kept.filter(([, each]) => each !== undefined)
  return found.length > 0 ? new Map<unknown, unknown>(found) : undefined
}

const following = (paths: ReadonlyArray<readonly string[]>, key: string): string[][] =>
  paths.filter(([step = '']) => matches(step, key)).map(([, ...rest]) => rest)

const matches = (step: string, key: string): boolean => (/[*?[]/.test(step) ? shellPattern(step).test(key) : step === key)
