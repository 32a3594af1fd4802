import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { editMetric } from './metrics-edit.ts'

export const command: Command = {
  name: 'metrics remove',
  summary: "Stop calling a stage's output a metric. The file and the output stay.",
  arguments: [{ name: '<path>', summary: 'A metric file.' }],
  examples: ['cairn metrics remove model/metrics.json'],
  async run(context, [target = '']) {
    await editMetric(context, target, (current) => {
      if (!current) throw new CairnError('COMMAND_FAILED', `'${target}' is not a metric`)
      return undefined
    })
  },
}
