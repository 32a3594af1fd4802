import type { Command } from '../command.ts'
import { SPEC_OPTIONS, specOf } from './metric-options.ts'
import { editMetric, refuseTypeInPipeline } from './metrics-edit.ts'

export const command: Command = {
  name: 'metrics add',
  summary: "Call a stage's output a metric.",
  arguments: [{ name: '<path>', summary: 'An output of a stage.' }],
  options: SPEC_OPTIONS,
  examples: ['cairn metrics add model/metrics.json', 'cairn metrics add result.csv -t csv -x 0,1'],
  async run(context, [target = ''], options) {
    const spec = specOf(options)
    await editMetric(context, target, (current, stage) => {
      refuseTypeInPipeline(stage, spec)
      return { ...current, ...spec }
    })
  },
}
