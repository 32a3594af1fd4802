import type { Command } from '../command.ts'
import { drawAscii, drawDot, drawMermaid } from '../pipeline/draw.ts'
import { linkStages, pipelinesOf, upstreamOf } from '../pipeline/graph.ts'
import { findTargets } from '../pipeline/load.ts'
import { picturesOf } from '../pipeline/picture.ts'
import { withStages } from './session.ts'

export const command: Command = {
  name: 'dag',
  summary: 'Draw how the stages depend on each other.',
  arguments: [{ name: '[target]', summary: 'Only what this stage or output is made by. Default: everything.' }],
  options: [
    { flags: '--dot', summary: "Print for Graphviz's dot." },
    { flags: '--mermaid', summary: 'Print for Mermaid.' },
    { flags: '--md', summary: 'The same, in a Markdown block.' },
    { flags: '--collapse-foreach-matrix', summary: 'Draw the stages of a foreach or matrix as one.' },
    { flags: '--full', summary: 'The whole pipeline that the target belongs to.' },
    { flags: '-o, --outs', summary: 'Draw outputs instead of stages.' },
  ],
  examples: ['cairn dag', 'cairn dag --mermaid train', 'cairn dag --outs --dot model.pkl'],
  run: (context, args, options) =>
    withStages(context, async ({ load, cwd }) => {
      const stages = await load()
      const graph = linkStages(stages)
      const targets = findTargets(stages, args, cwd).map((target) => target.stage)
      const collapse = options['collapseForeachMatrix'] === true
      const selected = options['full'] === true ? pipelinesOf(graph, targets) : upstreamOf(graph, targets)
      const pictures = picturesOf(graph, selected, options['outs'] === true ? 'outs' : 'stages', { cwd, collapse })
      const mermaid = () => drawMermaid(pictures)
      const text =
        options['dot'] === true
          ? drawDot(pictures)
          : options['md'] === true
            ? `\`\`\`mermaid\n${mermaid()}\n\`\`\``
            : options['mermaid'] === true
              ? mermaid()
              : drawAscii(pictures)
      if (text !== '') context.report({ type: 'output', text })
    }),
}
