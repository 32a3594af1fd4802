import { orderStages, splitPipelines, type Graph } from './graph.ts'
import { addressFrom } from './find-targets.ts'
import { overlaps, relativeTo } from './stage-path.ts'
import type { Stage } from './stage.ts'

/** What is drawn: boxes with one line of text each, and arrows from what is made first to what is made of it. */
export interface Picture {
  labels: readonly string[]
  /** Places in `labels`. */
  arrows: ReadonlyArray<readonly [from: number, to: number]>
}

export type Subject = 'stages' | 'commands' | 'outs'

export interface PictureOptions {
  /** The folder that names and paths are relative to, root-relative. Default: the root. */
  cwd?: string
  /** The stages of a `foreach` or `matrix` are one box. */
  collapse?: boolean
}

/** One picture a pipeline; stages that were not selected are left out. */
export function picturesOf(
  graph: Graph,
  selected: ReadonlySet<Stage>,
  subject: Subject,
  options: PictureOptions = {},
): Picture[] {
  const ordered = orderStages(graph, selected)
  return splitPipelines(collapsed(graph, options))
    .map((members) => new Set(members))
    .map((members) =>
      pictureOf(
        graph,
        ordered.filter((stage) => members.has(stage)),
        subject,
        options,
      ),
    )
    .filter((picture) => picture.labels.length > 0)
}

/** What is one box belongs into one picture. */
function collapsed(graph: Graph, { collapse }: PictureOptions): Graph {
  if (!collapse) return graph
  const groups = new Map<string, Stage[]>()
  for (const stage of graph.stages) {
    if (stage.template?.group === undefined) continue
    const key = `${stage.file}\0${stage.template.group}`
    groups.set(key, [...(groups.get(key) ?? []), stage])
  }
  const siblings = new Map([...groups.values()].flatMap((group) => group.map((stage) => [stage, group])))
  return { ...graph, dependents: (stage) => [...graph.dependents(stage), ...(siblings.get(stage) ?? [])] }
}

function pictureOf(graph: Graph, stages: readonly Stage[], subject: Subject, options: PictureOptions): Picture {
  const labels: string[] = []
  const places = new Map<string, number>()
  const place = (stage: Stage, label: string) => {
    // Two stages may have the same command, and are two boxes.
    const key = subject === 'commands' ? `${stage.address}\0${label}` : label
    const known = places.get(key) ?? labels.push(label) - 1
    places.set(key, known)
    return known
  }
  const boxes = new Map(stages.map((stage) => [stage, labelsOf(stage, subject, options).map((label) => place(stage, label))]))
  const arrows = new Map<string, readonly [from: number, to: number]>()
  for (const stage of stages) {
    for (const before of graph.dependencies(stage)) {
      const sources = (boxes.get(before) ?? []).filter((_, index) => subject !== 'outs' || feeds(before.outs[index]?.path, stage))
      for (const from of sources)
        for (const to of boxes.get(stage) ?? []) if (from !== to) arrows.set(`${from} ${to}`, [from, to])
    }
  }
  return { labels, arrows: [...arrows.values()] }
}

/** The lines that stand for a stage: its address, its command, or each of its outs. */
export function labelsOf(stage: Stage, subject: Subject, { cwd = '', collapse }: PictureOptions = {}): string[] {
  if (subject === 'outs') return stage.outs.map((out) => relativeTo(cwd, out.path))
  const group = collapse ? stage.template?.group : undefined
  const address = addressFrom(group === undefined ? stage : { ...stage, name: group }, cwd)
  return [subject === 'commands' ? (commandText(stage) ?? address) : address]
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
  return [...stage.deps, ...stage.params].some(({ path }) => overlaps(path, out))
}
