import type { Command } from '../command.ts'
import { METRIC_TYPES } from '../pipeline/metric-value.ts'
import { editMetric, refuseTypeInPipeline, specOf } from './metrics-edit.ts'

export const command: Command = {
  name: 'metrics add',
  summary: "Call a stage's output a metric.",
  arguments: [{ name: '<path>', summary: 'An output of a stage.' }],
  options: [
    { flags: '-t, --type <type>', summary: `One of ${METRIC_TYPES.join(', ')}.` },
    { flags: '-x, --xpath <path>', summary: 'What to show of it: `acc`, `a.b[0]`; `row,column` in csv and tsv.' },
  ],
  examples: ['cairn metrics add model/metrics.json', 'cairn metrics add result.csv -t csv -x 0,1'],
  async run(context, [target = ''], options) {
    const spec = specOf(options)
    await editMetric(context, target, (out, stage) => {
      refuseTypeInPipeline(stage, spec)
      return { ...out, metric: { ...out.metric, ...spec } }
    })
  },
}
