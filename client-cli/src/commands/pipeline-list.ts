import type { Command } from '../command.ts'
import { linkStages, orderStages, splitPipelines } from '../pipeline/graph.ts'
import { withStages } from './session.ts'

export const command: Command = {
  name: 'pipeline list',
  summary: 'Print the stages of every pipeline, in the order in which they run.',
  examples: ['cairn pipeline list'],
  run: (context) =>
    withStages(context, async ({ load }) => {
      const graph = linkStages(await load())
      const pipelines = splitPipelines(graph).map((members) =>
        orderStages(graph, new Set(members))
          .map((stage) => `${stage.address}\n`)
          .join(''),
      )
      context.report({ type: 'output', text: [...pipelines, `${pipelines.length} pipelines total`].join(`${'='.repeat(80)}\n`) })
    }),
}
