import { orderStages, splitPipelines, type Graph } from './graph.ts'
import type { Stage } from './stage.ts'

/** What is drawn: boxes with one line of text each, and arrows from what is made first to what is made of it. */
export interface Picture {
  labels: readonly string[]
  /** Places in `labels`. */
  arrows: ReadonlyArray<readonly [from: number, to: number]>
}

export type Subject = 'stages' | 'commands' | 'outs'

/** One picture a pipeline; stages that were not selected are left out. */
export function picturesOf(graph: Graph, selected: ReadonlySet<Stage>, subject: Subject): Picture[] {
  const ordered = orderStages(graph, selected)
  return splitPipelines(graph)
    .map((members) => new Set(members))
    .map((members) =>
      pictureOf(
        graph,
        ordered.filter((stage) => members.has(stage)),
        subject,
      ),
    )
    .filter((picture) => picture.labels.length > 0)
}

function pictureOf(graph: Graph, stages: readonly Stage[], subject: Subject): Picture {
  const labels: string[] = []
  const boxes = new Map<Stage, number[]>()
  for (const stage of stages) {
    const own = labelsOf(stage, subject)
    boxes.set(
      stage,
      own.map((_, index) => labels.length + index),
    )
    labels.push(...own)
  }
  const arrows = stages.flatMap((stage) =>
    graph.dependencies(stage).flatMap((before) => {
      const sources = (boxes.get(before) ?? []).filter((_, index) => subject !== 'outs' || feeds(before.outs[index]?.path, stage))
      return sources.flatMap((from) => (boxes.get(stage) ?? []).map((to) => [from, to] as const))
    }),
  )
  return { labels, arrows }
}

/** The lines that stand for a stage: its address, its command, or each of its outs. */
export function labelsOf(stage: Stage, subject: Subject): string[] {
  if (subject === 'outs') return stage.outs.map((out) => out.path)
  return [subject === 'commands' ? (commandText(stage) ?? stage.address) : stage.address]
}

/** The command on one line; undefined for a stage without one. */
export function commandText(stage: Stage): string | undefined {
  const lines = typeof stage.cmd === 'string' ? stage.cmd.split('\n') : stage.cmd
  return lines
    ?.map((line) => line.trim())
    .filter((line) => line !== '')
    .join('; ')
}

function feeds(out: string | undefined, stage: Stage): boolean {
  if (out === undefined) return false
  return [...stage.deps, ...stage.params].some(
    ({ path }) => path === out || path.startsWith(`${out}/`) || out.startsWith(`${path}/`),
  )
}
