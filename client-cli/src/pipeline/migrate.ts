import path from 'node:path/posix'
import { type Digest, isLegacy } from '@cairn/protocol/digest'
import type { Workspace } from '../workspace/workspace.ts'
import { orderStages, linkStages } from './graph.ts'
import { renameContent, type Renamed } from './migrate-content.ts'
import { stageMd5 } from './stage-md5.ts'
import { folderOf, isUrl } from './stage-path.ts'
import type { Dep, Out, ParamsDep, Stage } from './stage.ts'

/** What a migration is going to write. Pure value; `carryOutMigration` does it. */
export interface Migration {
  steps: MigrationStep[]
  /** Content that is neither in the workspace nor in the cache. When there is any, nothing may be done. */
  missing: Array<{ stage: string; path: string; digest: Digest }>
  /** What is not kept, in words. */
  notes: string[]
}

export interface MigrationStep {
  /** The 2019 stage. Its file goes, unless `after` is written in its place. */
  before: Stage
  after: Stage
  /** Outputs whose objects get their names of today. */
  objects: Array<{ path: string; renamed: Renamed }>
  /** Metric files of a stage without a command: dvc.yaml names them at its top. */
  metrics: string[]
}

interface Planning {
  workspace: Workspace
  signal: AbortSignal
  /** By path and digest: a dependency is mostly another stage's output. */
  known: Map<string, Promise<Renamed | undefined>>
  plan: Migration
}

/** Plans to turn every 2019 stage file into dvc.yaml, dvc.lock and `.dvc` files of today. Reads, hashes and writes nothing. */
export async function planMigration(stages: readonly Stage[], workspace: Workspace, signal: AbortSignal): Promise<Migration> {
  const plan: Migration = { steps: [], missing: [], notes: [] }
  const planning: Planning = { workspace, signal, known: new Map(), plan }
  const taken = new Map<string, Set<string>>()
  for (const stage of orderStages(linkStages(stages))) {
    if (stage.kind === 'legacy') plan.steps.push(await planStep(stage, nameFor(stage, stages, taken), planning))
  }
  return plan
}

async function planStep(before: Stage, name: string, planning: Planning): Promise<MigrationStep> {
  const objects: MigrationStep['objects'] = []
  const deps: Dep[] = []
  for (const dep of before.deps) deps.push(await planDep(before, dep, planning))
  const outs: Out[] = []
  for (const out of before.outs) outs.push(await planOut(before, out, objects, planning))
  const after = before.cmd === undefined ? dataStage(before, deps, outs) : pipelineStage(before, name, deps, outs)
  const metrics = before.cmd === undefined ? before.outs.filter((out) => out.metric).map((out) => out.path) : []
  return { before, after, objects, metrics }
}

async function planDep(stage: Stage, dep: Dep, planning: Planning): Promise<Dep> {
  const { recorded, ...rest } = dep
  if (!recorded || dep.source?.repo) return rest
  if (!isLegacy(recorded.digest) || isUrl(dep.path)) return dep
  const renamed = await rename(stage, dep.path, recorded.digest, planning)
  return renamed ? { ...rest, recorded: renamed.recorded } : dep
}

async function planOut(stage: Stage, out: Out, objects: MigrationStep['objects'], planning: Planning): Promise<Out> {
  noteMetric(out, planning)
  const { recorded, ...rest } = out
  const { tags: _tags, ...extra } = out.extra ?? {}
  const kept: Out = { ...rest, extra }
  if (!recorded || !isLegacy(recorded.digest)) return recorded ? { ...kept, recorded } : kept
  const renamed = await rename(stage, out.path, recorded.digest, planning)
  if (!renamed) return kept
  if (out.cache) objects.push({ path: out.path, renamed })
  return { ...kept, recorded: renamed.recorded }
}

async function rename(
  stage: Stage,
  location: string,
  digest: Digest,
  { workspace, signal, known, plan }: Planning,
): Promise<Renamed | undefined> {
  const key = `${location}\0${digest}`
  const running = known.get(key) ?? renameContent(workspace, location, digest, signal)
  known.set(key, running)
  const renamed = await running
  if (!renamed) plan.missing.push({ stage: stage.address, path: location, digest })
  return renamed
}

function noteMetric({ path: file, metric }: Out, { plan }: Planning): void {
  if (metric?.type === undefined && metric?.xpath === undefined) return
  const readable = ['.json', '.yaml', '.yml', '.toml'].includes(path.extname(file).toLowerCase())
  const how = readable ? 'it is read whole, by its suffix' : 'DVC 3 reads metrics as JSON, YAML or TOML only'
  plan.notes.push(`metric '${file}': its type and xpath are not kept; ${how}`)
}

function pipelineStage(before: Stage, name: string, deps: readonly Dep[], outs: readonly Out[]): Stage {
  const file = path.join(folderOf(before.file), 'dvc.yaml')
  const { md5: _md5, ...rest } = before
  // A stage that never ran has no entry in dvc.lock.
  const ran = before.cmd !== undefined && [...before.deps, ...before.outs].some((entry) => entry.recorded !== undefined)
  return {
    ...rest,
    address: file === 'dvc.yaml' ? name : `${file}:${name}`,
    file,
    name,
    kind: 'pipeline',
    deps: deps.filter((dep) => dep.extra?.['params'] === undefined),
    params: deps.flatMap(paramsOf),
    outs,
    ...(ran && before.cmd !== undefined && { lockedCmd: before.cmd }),
  }
}

/** 1.0 recorded a params file as a dependency with `params`. */
function paramsOf(dep: Dep): ParamsDep[] {
  const params = dep.extra?.['params']
  if (typeof params !== 'object' || params === null) return []
  const listed = Array.isArray(params)
  const keys = listed ? params.map(String) : Object.keys(params)
  return [{ path: dep.path, def: dep.def, keys, ...(!listed && { recorded: params as Record<string, unknown> }) }]
}

function dataStage(before: Stage, deps: readonly Dep[], outs: readonly Out[]): Stage {
  const { md5: _md5, ...rest } = before
  const [first] = outs
  const file =
    path.basename(before.file) === 'Dvcfile' && first
      ? path.join(folderOf(before.file), `${path.basename(first.path)}.dvc`)
      : before.file
  const after: Stage = {
    ...rest,
    address: file,
    file,
    kind: 'data',
    deps,
    outs: outs.map(({ metric: _metric, plot: _plot, ...out }) => out),
  }
  return deps.length === 0 ? after : { ...after, md5: stageMd5(after) }
}

/** `load` for `load.dvc`; the name an earlier, interrupted migration gave it; never one that is taken. */
function nameFor(stage: Stage, stages: readonly Stage[], taken: Map<string, Set<string>>): string {
  const folder = folderOf(stage.file)
  const there = stages.filter((other) => other.kind === 'pipeline' && folderOf(other.file) === folder)
  const earlier = there.find(
    (other) => other.outs.length > 0 && other.outs.every((out) => stage.outs.some((mine) => mine.path === out.path)),
  )
  const used = taken.get(folder) ?? new Set(there.flatMap((other) => (other.name === undefined ? [] : [other.name])))
  taken.set(folder, used)
  if (earlier?.name !== undefined) return earlier.name
  const base = path.basename(stage.file).replace(/\.dvc$/, '')
  const plain = base.replace(/[!-,./:-@[-^`{-~]+/g, '-').replace(/^-+|-+$/g, '') || 'stage'
  let name = plain
  for (let serial = 2; used.has(name); serial++) name = `${plain}-${serial}`
  used.add(name)
  return name
}
