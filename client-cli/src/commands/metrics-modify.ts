import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { METRIC_TYPES } from '../pipeline/metric-value.ts'
import { editMetric, refuseTypeInPipeline, specOf } from './metrics-edit.ts'

export const command: Command = {
  name: 'metrics modify',
  summary: 'Say how a metric file of a 2019 stage is read.',
  arguments: [{ name: '<path>', summary: 'The metric file.' }],
  options: [
    { flags: '-t, --type <type>', summary: `One of ${METRIC_TYPES.join(', ')}.` },
    { flags: '-x, --xpath <path>', summary: 'What to show of it: `acc`, `a.b[0]`; `row,column` in csv and tsv.' },
  ],
  examples: ['cairn metrics modify model/metrics.json --type json --xpath acc'],
  async run(context, [target = ''], options) {
    const spec = specOf(options)
    if (spec.type === undefined && spec.xpath === undefined)
      throw new CairnError('USAGE', 'one of the arguments -t/--type -x/--xpath is required')
    await editMetric(context, target, (out, stage) => {
      refuseTypeInPipeline(stage, spec)
      if (!out.metric)
        throw new CairnError('COMMAND_FAILED', `'${target}' is not a metric`, {
          hint: `make it one: cairn metrics add ${target}`,
        })
      return { ...out, metric: { ...out.metric, ...spec } }
    })
  },
}
