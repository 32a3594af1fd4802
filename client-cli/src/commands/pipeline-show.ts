import type { Command, Options } from '../command.ts'
import { drawAscii, drawDot } from '../pipeline/draw.ts'
import { linkStages, orderStages, upstreamOf, type Graph } from '../pipeline/graph.ts'
import { findTargets } from '../pipeline/load.ts'
import { labelsOf, picturesOf, type Subject } from '../pipeline/picture.ts'
import type { Stage } from '../pipeline/stage.ts'
import { withStages } from './session.ts'

export const command: Command = {
  name: 'pipeline show',
  summary: 'Print the stages that a target is made by, in the order in which they run.',
  arguments: [{ name: '[target...]', summary: 'Stage files, stages or outputs. Default: all.' }],
  options: [
    { flags: '-c, --commands', summary: 'Print commands instead of the names of the stages.' },
    { flags: '-o, --outs', summary: 'Print outputs instead of the names of the stages.' },
    { flags: '--ascii', summary: 'Draw boxes and lines.' },
    { flags: '--dot', summary: "Print for Graphviz's dot." },
    { flags: '-l, --locked', summary: 'Only locked stages.' },
  ],
  examples: ['cairn pipeline show --ascii evaluate.dvc', 'cairn pipeline show --commands evaluate.dvc'],
  run: (context, args, options) =>
    withStages(context, async ({ load, cwd }) => {
      const graph = linkStages(await load())
      const text = render(graph, selectStages(graph, args, cwd, options), options)
      if (text !== '') context.report({ type: 'output', text })
    }),
}

function selectStages(graph: Graph, args: readonly string[], cwd: string, options: Options): Set<Stage> {
  const selected = upstreamOf(
    graph,
    findTargets(graph.stages, args, cwd).map((target) => target.stage),
  )
  return options['locked'] === true ? new Set([...selected].filter((stage) => stage.frozen)) : selected
}

function render(graph: Graph, selected: ReadonlySet<Stage>, options: Options): string {
  const subject: Subject = options['commands'] === true ? 'commands' : options['outs'] === true ? 'outs' : 'stages'
  if (options['ascii'] === true) return drawAscii(picturesOf(graph, selected, subject))
  if (options['dot'] === true) return drawDot(picturesOf(graph, selected, subject))
  const stages = orderStages(graph, selected).filter((stage) => subject !== 'commands' || stage.cmd !== undefined)
  return stages.flatMap((stage) => labelsOf(stage, subject)).join('\n')
}
