import path from 'node:path/posix'
import { CairnError } from '@cairn/protocol/error'
import { isExternal, overlaps } from './stage-path.ts'
import type { Out, Stage } from './stage.ts'

/** What a person named: a stage, one output of it, or a path inside of an output that is a directory. */
export interface Target {
  stage: Stage
  out?: Out
  /** Relative to the output: a file or folder inside of it. */
  inside?: string
}

export interface FindOptions {
  /** A folder stands for every stage file below it. */
  recursive?: boolean
  /** Adds the stages that the targets depend on, before them. */
  withDeps?: boolean
}

/**
 * The stages and outputs that targets stand for; without targets every stage. A target is the name of a stage in this
 * folder's dvc.yaml, `path/dvc.yaml`, `path/dvc.yaml:name`, `path:name`, a stage file, an output, or a path inside of one.
 * `cwd` is root-relative; '' is the root.
 * @throws CairnError FAILED in dvc's words when a target stands for nothing
 */
export function findTargets(
  stages: readonly Stage[],
  targets: readonly string[],
  cwd: string,
  options: FindOptions = {},
): Target[] {
  const index = indexStages(stages)
  const found =
    targets.length === 0
      ? stages.map((stage) => ({ stage }))
      : targets.flatMap((target) => findTarget(index, target, cwd, options))
  return unique(options.withDeps ? found.flatMap((target) => [...dependenciesOf(stages, target.stage), target]) : found)
}

/** Thousands of targets are named at once, by a shell's `*.dvc`. */
interface Index {
  byFile: ReadonlyMap<string, readonly Stage[]>
  byOut: ReadonlyMap<string, { stage: Stage; out: Out }>
}

function indexStages(stages: readonly Stage[]): Index {
  const byOut = new Map<string, { stage: Stage; out: Out }>()
  const byFile = new Map<string, Stage[]>()
  for (const stage of stages) {
    const file = byFile.get(stage.file)
    if (file) file.push(stage)
    else byFile.set(stage.file, [stage])
    for (const out of stage.outs) if (!byOut.has(out.path)) byOut.set(out.path, { stage, out })
  }
  return { byFile, byOut }
}

function findTarget(index: Index, target: string, cwd: string, options: FindOptions): Target[] {
  const pipelineFile = path.join(cwd, 'dvc.yaml')
  const named = byName(index, pipelineFile, target)
  if (named.length > 0) return named
  const location = path.join('/', cwd, target).slice(1).replace(/\/$/, '')
  if (isStageFile(location)) return ofFile(index, location, target)
  const addressed = byAddress(index, target, cwd)
  if (addressed.length > 0) return addressed
  const output = path.isAbsolute(target) || climbsOut(cwd, target) ? undefined : byOutput(index, location)
  if (output) return [output]
  if (options.recursive) {
    const files = [...index.byFile.keys()].filter((file) => location === '' || file.startsWith(`${location}/`))
    if (files.length > 0) return files.flatMap((file) => (index.byFile.get(file) ?? []).map((stage) => ({ stage })))
  }
  throw unknownTarget(index, target, pipelineFile)
}

const isStageFile = (location: string): boolean =>
  location.endsWith('.dvc') || ['dvc.yaml', 'Dvcfile'].includes(path.basename(location))

const climbsOut = (cwd: string, target: string): boolean => isExternal(path.normalize(path.join(cwd, target)))

function ofFile(index: Index, location: string, target: string): Target[] {
  const found = index.byFile.get(location)
  if (!found) {
    // An output may be called like a stage file.
    const output = byOutput(index, location)
    if (output) return [output]
    throw new CairnError('FAILED', `'${target}' does not exist`)
  }
  return found.map((stage) => ({ stage }))
}

/** The stage of that name, or every stage that a `foreach` or `matrix` of that name makes. */
function byName({ byFile }: Index, file: string, name: string): Target[] {
  const stages = byFile.get(file) ?? []
  const own = stages.filter((stage) => stage.name === name)
  return (own.length > 0 ? own : stages.filter((stage) => stage.template?.group === name)).map((stage) => ({ stage }))
}

/** `path/dvc.yaml:name` and `path:name`. What follows the first `@` belongs to the name, colons and all. */
function byAddress(index: Index, target: string, cwd: string): Target[] {
  const at = target.indexOf('@')
  const cut = (at < 0 ? target : target.slice(0, at)).lastIndexOf(':')
  if (cut < 0) return []
  const place = target.slice(0, cut)
  const name = target.slice(cut + 1)
  if (path.basename(place) === 'dvc.lock') {
    throw new CairnError('FAILED', `'${target}' does not exist`, {
      hint: `Did you mean: '${place.replace(/lock$/, 'yaml')}:${name}'?`,
    })
  }
  const file = place === '' || path.basename(place) === 'dvc.yaml' ? place || 'dvc.yaml' : path.join(place, 'dvc.yaml')
  return byName(index, path.join('/', cwd, file).slice(1), name)
}

/** The output at a path, or the one that the path lies inside of. */
function byOutput({ byOut }: Index, location: string): Target | undefined {
  const whole = byOut.get(location)
  if (whole) return whole
  for (let cut = location.lastIndexOf('/'); cut > 0; cut = location.lastIndexOf('/', cut - 1)) {
    const around = byOut.get(location.slice(0, cut))
    if (around) return { ...around, inside: location.slice(cut + 1) }
  }
  return undefined
}

function unknownTarget({ byFile }: Index, target: string, pipelineFile: string): CairnError {
  const why = byFile.has(pipelineFile) ? `Stage '${target}' not found inside 'dvc.yaml' file` : `'dvc.yaml' does not exist`
  return new CairnError('FAILED', `'${target}' does not exist as an output or a stage name in 'dvc.yaml': ${why}`)
}

/** The stages that a stage depends on, however far, each after its own dependencies. */
function dependenciesOf(stages: readonly Stage[], stage: Stage, seen = new Set<Stage>([stage])): Target[] {
  const before = stages.filter(
    (other) =>
      !seen.has(other) && other.outs.some((out) => stage.deps.some((dep) => !dep.source?.repo && overlaps(dep.path, out.path))),
  )
  return before.flatMap((other) => {
    if (seen.has(other)) return []
    seen.add(other)
    return [...dependenciesOf(stages, other, seen), { stage: other }]
  })
}

/** Each target once; a whole stage makes its outputs superfluous. */
function unique(targets: readonly Target[]): Target[] {
  const whole = new Set(targets.filter((target) => !target.out).map((target) => target.stage))
  const seen = new Set<string>()
  return targets.filter((target) => {
    if (target.out && whole.has(target.stage)) return false
    const key = `${target.stage.address}\0${target.out?.path ?? ''}\0${target.inside ?? ''}`
    return !seen.has(key) && seen.add(key) !== undefined
  })
}

/** A stage's address as seen from a folder: `name` for its own dvc.yaml, `../x.dvc`, `sub/dvc.yaml:name`. */
export function addressFrom(stage: Stage, cwd: string): string {
  const file = path.relative(`/${cwd}`, `/${stage.file}`)
  if (stage.name === undefined) return file
  return file === 'dvc.yaml' ? stage.name : `${file}:${stage.name}`
}
