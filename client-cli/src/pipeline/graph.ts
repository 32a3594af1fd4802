import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import type { Stage } from './stage.ts'

/** How stages hang together: an edge wherever a dep equals, lies inside or contains an out. */
export interface Graph {
  stages: readonly Stage[]
  /** The stages that make what this one reads, in the order in which it names its deps. */
  dependencies(stage: Stage): readonly Stage[]
  /** The stages that read what this one makes, in the given order. */
  dependents(stage: Stage): readonly Stage[]
}

/**
 * Edges only, without any check: for pictures of a pipeline and for tools that must still work on a broken one.
 * `cutFrozen` leaves frozen stages without dependencies, as `repro` sees them.
 */
export function linkStages(stages: readonly Stage[], options: { cutFrozen?: boolean } = {}): Graph {
  const makers = indexOuts(stages)
  const dependencies = new Map<Stage, Stage[]>()
  const dependents = new Map<Stage, Stage[]>(stages.map((stage) => [stage, []]))
  for (const stage of stages) {
    const found =
      options.cutFrozen && stage.frozen
        ? []
        : readPaths(stage).flatMap((path) => makers.overlapping(path).map((made) => made.stage))
    const before = [...new Set(found)]
    dependencies.set(stage, before)
    for (const other of before) dependents.get(other)?.push(stage)
  }
  return { stages, dependencies: (stage) => dependencies.get(stage) ?? [], dependents: (stage) => dependents.get(stage) ?? [] }
}

/**
 * The graph of a sound set of stages.
 * @throws CairnError FAILED when an out is made twice, outs overlap, a stage reads what it makes, or stages form a circle
 */
export function buildGraph(stages: readonly Stage[], options: { cutFrozen?: boolean } = {}): Graph {
  for (const stage of stages) refuseDoubledPaths(stage)
  refuseSharedOuts(stages)
  const whole = linkStages(stages)
  orderStages(whole)
  return options.cutFrozen ? linkStages(stages, options) : whole
}

/**
 * Dependencies first, each right before the first stage that needs it; otherwise in the order of `roots`, then in the given
 * order of the stages. dvc.lock lists stages in the order in which they first ran, and this is the one of dvc.
 * @throws CairnError FAILED for a circle, naming the stages in it
 */
export function orderStages(
  graph: Graph,
  selected: ReadonlySet<Stage> = new Set(graph.stages),
  roots: readonly Stage[] = [],
): Stage[] {
  const ordered = new Set<Stage>()
  for (const root of [...roots, ...graph.stages]) if (selected.has(root)) descend(graph, root, selected, ordered)
  return [...ordered]
}

/** Adds a stage to `ordered` after everything that it depends on. Deep pipelines must not be a deep stack of calls. */
function descend(graph: Graph, root: Stage, selected: ReadonlySet<Stage>, ordered: Set<Stage>): void {
  if (ordered.has(root)) return
  const open = new Map([[root, graph.dependencies(root).values()]])
  const walked = [root]
  for (let at = walked.at(-1); at; at = walked.at(-1)) {
    const next = open.get(at)?.next().value
    if (next === undefined) {
      ordered.add(at)
      open.delete(at)
      walked.pop()
    } else if (open.has(next)) {
      throw circleError(graph, new Set(walked.slice(walked.indexOf(next))))
    } else if (selected.has(next) && !ordered.has(next)) {
      open.set(next, graph.dependencies(next).values())
      walked.push(next)
    }
  }
}

/** The given stages and everything they depend on. */
export function upstreamOf(graph: Graph, stages: Iterable<Stage>): Set<Stage> {
  return reach(stages, graph.dependencies)
}

/** The given stages and everything that depends on them. */
export function downstreamOf(graph: Graph, stages: Iterable<Stage>): Set<Stage> {
  return reach(stages, graph.dependents)
}

/** The whole pipelines that the given stages belong to. */
export function pipelinesOf(graph: Graph, stages: Iterable<Stage>): Set<Stage> {
  return reach(stages, (stage) => [...graph.dependencies(stage), ...graph.dependents(stage)])
}

/** Every pipeline by itself, in the order of its first stage. */
export function splitPipelines(graph: Graph): Stage[][] {
  const seen = new Set<Stage>()
  const pipelines: Stage[][] = []
  for (const stage of graph.stages) {
    if (seen.has(stage)) continue
    const members = pipelinesOf(graph, [stage])
    for (const member of members) seen.add(member)
    pipelines.push(graph.stages.filter((other) => members.has(other)))
  }
  return pipelines
}

function reach(from: Iterable<Stage>, next: (stage: Stage) => readonly Stage[]): Set<Stage> {
  const seen = new Set(from)
  // A Set visits what is added to it while it is walked.
  for (const stage of seen) for (const other of next(stage)) seen.add(other)
  return seen
}

interface Made {
  path: string
  stage: Stage
}

interface OutIndex {
  overlapping(path: string): Made[]
}

function indexOuts(stages: readonly Stage[]): OutIndex {
  const byPath = new Map<string, Made[]>()
  for (const stage of stages) {
    for (const { path } of stage.outs) {
      const at = byPath.get(path)
      if (at) at.push({ path, stage })
      else byPath.set(path, [{ path, stage }])
    }
  }
  const sorted = [...byPath.keys()].toSorted(compareCodePoints)
  return {
    overlapping(path) {
      const found: Made[] = []
      for (const prefix of selfAndParents(path)) found.push(...(byPath.get(prefix) ?? []))
      const inside = path === '' ? '' : `${path}/`
      for (let index = firstNotBefore(sorted, inside); index < sorted.length; index++) {
        const candidate = sorted[index]
        if (candidate === undefined || !candidate.startsWith(inside)) break
        if (candidate !== path) found.push(...(byPath.get(candidate) ?? []))
      }
      return found
    },
  }
}

function selfAndParents(path: string): string[] {
  const paths = [path]
  for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) paths.push(path.slice(0, cut))
  return paths
}

function firstNotBefore(sorted: readonly string[], wanted: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareCodePoints(sorted[middle] ?? '', wanted) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** What a stage reads from the workspace: not what an import downloads from elsewhere. */
function readPaths(stage: Stage): string[] {
  return [...stage.deps.filter((dep) => dep.source === undefined), ...stage.params].map((dep) => dep.path)
}

function refuseDoubledPaths(stage: Stage): void {
  const outs = new Set<string>()
  for (const { path } of stage.outs) {
    if (outs.has(path)) throw new CairnError('FAILED', `file '${path}' is specified more than once in stage '${stage.address}'.`)
    outs.add(path)
  }
  const read = new Set<string>()
  for (const path of readPaths(stage)) {
    if (outs.has(path))
      throw new CairnError('FAILED', `'${path}' is specified as an output and as a dependency of stage '${stage.address}'.`)
    if (read.has(path)) throw new CairnError('FAILED', `file '${path}' is specified more than once in stage '${stage.address}'.`)
    read.add(path)
  }
}

function refuseSharedOuts(stages: readonly Stage[]): void {
  const makers = indexOuts(stages)
  for (const stage of stages) {
    for (const { path } of stage.outs) {
      const others = makers.overlapping(path).filter((made) => made.stage !== stage || made.path !== path)
      const same = others.filter((made) => made.path === path)
      if (same.length > 0) throw sharedOutError(path, [stage, ...same.map((made) => made.stage)])
      const first = others[0]
      if (first) throw overlapError({ path, stage }, first)
    }
  }
}

function sharedOutError(path: string, stages: readonly Stage[]): CairnError {
  const names = stages.map((stage) => `\n\t- ${stage.address}`).join('')
  return new CairnError('FAILED', `output '${path}' is specified in:${names}`, {
    hint: 'Remove it from all but one of them.',
  })
}

function overlapError(one: Made, other: Made): CairnError {
  const [outer, inner] = one.path.length <= other.path.length ? [one, other] : [other, one]
  return new CairnError(
    'FAILED',
    `The output paths:\n'${outer.path}'('${outer.stage.address}')\n'${inner.path}'('${inner.stage.address}')\noverlap and are thus in the same tracked directory.`,
    { hint: 'To keep reproducibility, outputs should be in separate tracked directories or tracked individually.' },
  )
}

function circleError(graph: Graph, circle: ReadonlySet<Stage>): CairnError {
  const names = graph.stages.filter((stage) => circle.has(stage)).map((stage) => stage.address)
  return new CairnError('FAILED', `Same item(s) are defined as both a dependency and an output in stages: ${names.join(', ')}.`)
}
