import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import type { Stage } from './stage.ts'

/** How stages hang together: an edge wherever a dep equals, lies inside or contains an out. Lists are in the stages' given order. */
export interface Graph {
  stages: readonly Stage[]
  /** The stages that make what this one reads. */
  dependencies(stage: Stage): readonly Stage[]
  /** The stages that read what this one makes. */
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
  const place = new Map(stages.map((stage, index) => [stage, index]))
  for (const stage of stages) {
    const found =
      options.cutFrozen && stage.frozen
        ? []
        : readPaths(stage).flatMap((path) => makers.overlapping(path).map((made) => made.stage))
    const before = [...new Set(found)].toSorted((a, b) => (place.get(a) ?? 0) - (place.get(b) ?? 0))
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
 * Dependencies first; where the graph leaves a choice, in the given order of the stages.
 * @throws CairnError FAILED for a circle, naming the stages in it
 */
export function orderStages(graph: Graph, selected: ReadonlySet<Stage> = new Set(graph.stages)): Stage[] {
  const place = new Map(graph.stages.map((stage, index) => [stage, index]))
  const waiting = new Map<Stage, number>()
  const ready: Stage[] = []
  for (const stage of graph.stages) {
    if (!selected.has(stage)) continue
    const open = graph.dependencies(stage).filter((other) => selected.has(other)).length
    waiting.set(stage, open)
    if (open === 0) ready.push(stage)
  }
  ready.reverse()
  const ordered: Stage[] = []
  for (let next = ready.pop(); next; next = ready.pop()) {
    ordered.push(next)
    waiting.delete(next)
    for (const dependent of graph.dependents(next)) {
      const open = waiting.get(dependent)
      if (open === undefined) continue
      waiting.set(dependent, open - 1)
      if (open === 1) insertByPlace(ready, dependent, place)
    }
  }
  if (waiting.size > 0) throw circleError(graph, new Set(waiting.keys()))
  return ordered
}

/** `ready` is kept latest first, so that the next stage is popped from its end. */
function insertByPlace(ready: Stage[], stage: Stage, place: ReadonlyMap<Stage, number>): void {
  const wanted = place.get(stage) ?? 0
  let low = 0
  let high = ready.length
  while (low < high) {
    const middle = (low + high) >> 1
    const other = ready[middle]
    if (other && (place.get(other) ?? 0) > wanted) low = middle + 1
    else high = middle
  }
  ready.splice(low, 0, stage)
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

function circleError(graph: Graph, stuck: ReadonlySet<Stage>): CairnError {
  const circle = findCircle(graph, stuck)
  const names = graph.stages.filter((stage) => circle.has(stage)).map((stage) => stage.address)
  return new CairnError('FAILED', `Same item(s) are defined as both a dependency and an output in stages: ${names.join(', ')}.`)
}

/** Every stuck stage has a stuck dependency, so walking from one to the next must come back to where it was. */
function findCircle(graph: Graph, stuck: ReadonlySet<Stage>): Set<Stage> {
  const walked: Stage[] = []
  let at = stuck.values().next().value
  while (at && !walked.includes(at)) {
    walked.push(at)
    at = graph.dependencies(at).find((other) => stuck.has(other))
  }
  return new Set(at ? walked.slice(walked.indexOf(at)) : walked)
}
