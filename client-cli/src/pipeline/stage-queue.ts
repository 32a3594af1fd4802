import type { Graph } from './graph.ts'
import { overlaps } from './stage-path.ts'
import { pathsOf, type UsedPaths } from './used-paths.ts'
import type { Stage } from './stage.ts'

/** Which stage of a plan may start next, while others are under way. Knows nothing of what a stage does. */
export interface StageQueue {
  /**
   * The first stage of the plan that waits for nobody: what it depends on is over, and no stage under way writes what it uses
   * or uses what it writes. From here on it is under way. undefined when there is none just now.
   */
  take(): Stage | undefined
  /** The stage is over, and what depends on it may start. */
  finish(stage: Stage): void
  /** The stage is over without a result: takes out what depends on it, however far, and returns that in the plan's order. */
  drop(stage: Stage): Stage[]
  /** Nothing further starts. */
  stop(): void
}

/** `plan`: dependencies first. */
export function createStageQueue(graph: Graph, plan: readonly Stage[]): StageQueue {
  let waiting = [...plan]
  const unfinished = new Set(plan)
  const underWay = new Map<Stage, UsedPaths>()
  const isFree = (stage: Stage) =>
    underWay.size === 0 ||
    (!graph.dependencies(stage).some((before) => unfinished.has(before)) && !clashes(pathsOf(stage), underWay.values()))

  function over(stage: Stage): void {
    underWay.delete(stage)
    unfinished.delete(stage)
  }

  return {
    take() {
      const place = waiting.findIndex(isFree)
      const [stage] = place < 0 ? [] : waiting.splice(place, 1)
      if (stage) underWay.set(stage, pathsOf(stage))
      return stage
    },
    finish: over,
    drop(stage) {
      const lost = new Set([stage])
      // A Set visits what is added to it while it is walked.
      for (const one of lost) for (const after of graph.dependents(one)) if (unfinished.has(after)) lost.add(after)
      over(stage)
      const gone = waiting.filter((one) => lost.has(one))
      waiting = waiting.filter((one) => !lost.has(one))
      for (const one of gone) unfinished.delete(one)
      return gone
    },
    stop() {
      waiting = []
    },
  }
}

/** Not every clash is an edge of the graph: a frozen stage waits for nobody, but is not looked at while its deps are written. */
function clashes(one: UsedPaths, others: Iterable<UsedPaths>): boolean {
  for (const other of others) {
    if (anyOverlap(one.writes, [...other.reads, ...other.writes]) || anyOverlap(one.reads, other.writes)) return true
  }
  return false
}

const anyOverlap = (ours: readonly string[], theirs: readonly string[]): boolean =>
  ours.some((one) => theirs.some((other) => overlaps(one, other)))
