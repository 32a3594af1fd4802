import path from 'node:path/posix'
import { CairnError } from '@cairn/protocol/error'
import { isExternal } from './stage-path.ts'
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
  const found =
    targets.length === 0
      ? stages.map((stage) => ({ stage }))
      : targets.flatMap((target) => findTarget(stages, target, cwd, options))
  return unique(options.withDeps ? found.flatMap((target) => [...dependenciesOf(stages, target.stage), target]) : found)
}

function findTarget(stages: readonly Stage[], target: string, cwd: string, options: FindOptions): Target[] {
  const pipelineFile = path.join(cwd, 'dvc.yaml')
  const named = stages.find((stage) => stage.file === pipelineFile && stage.name === target)
  if (named) return [{ stage: named }]
  const location = path.join('/', cwd, target).slice(1).replace(/\/$/, '')
  if (isStageFile(location)) return ofFile(stages, location, target)
  const addressed = byAddress(stages, target, cwd)
  if (addressed) return [addressed]
  const output = byOutput(stages, path.isAbsolute(target) || climbsOut(cwd, target) ? undefined : location)
  if (output) return [output]
  if (options.recursive) {
    const below = stages.filter((stage) => location === '' || stage.file.startsWith(`${location}/`))
    if (below.length > 0) return below.map((stage) => ({ stage }))
  }
  throw unknownTarget(stages, target, pipelineFile)
}

const isStageFile = (location: string): boolean =>
  location.endsWith('.dvc') || ['dvc.yaml', 'Dvcfile'].includes(path.basename(location))

const climbsOut = (cwd: string, target: string): boolean => isExternal(path.normalize(path.join(cwd, target)))

function ofFile(stages: readonly Stage[], location: string, target: string): Target[] {
  const found = stages.filter((stage) => stage.file === location)
  if (found.length === 0) {
    // An output may be called like a stage file.
    const output = byOutput(stages, location)
    if (output) return [output]
    throw new CairnError('FAILED', `'${target}' does not exist`)
  }
  return found.map((stage) => ({ stage }))
}

/** `path/dvc.yaml:name` and `path:name`. */
function byAddress(stages: readonly Stage[], target: string, cwd: string): Target | undefined {
  const cut = target.lastIndexOf(':')
  if (cut < 0) return undefined
  const place = target.slice(0, cut)
  const name = target.slice(cut + 1)
  if (path.basename(place) === 'dvc.lock') {
    throw new CairnError('FAILED', `'${target}' does not exist`, {
      hint: `Did you mean: '${place.replace(/lock$/, 'yaml')}:${name}'?`,
    })
  }
  const file = place === '' || path.basename(place) === 'dvc.yaml' ? place || 'dvc.yaml' : path.join(place, 'dvc.yaml')
  const location = path.join('/', cwd, file).slice(1)
  const stage = stages.find((each) => each.file === location && each.name === name)
  return stage && { stage }
}

function byOutput(stages: readonly Stage[], location: string | undefined): Target | undefined {
  if (location === undefined || location === '') return undefined
  for (const stage of stages) {
    for (const out of stage.outs) {
      if (out.path === location) return { stage, out }
      if (location.startsWith(`${out.path}/`)) return { stage, out, inside: location.slice(out.path.length + 1) }
    }
  }
  return undefined
}

function unknownTarget(stages: readonly Stage[], target: string, pipelineFile: string): CairnError {
  const why = stages.some((stage) => stage.file === pipelineFile)
    ? `Stage '${target}' not found inside 'dvc.yaml' file`
    : `'dvc.yaml' does not exist`
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

const overlaps = (a: string, b: string): boolean => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`)

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
