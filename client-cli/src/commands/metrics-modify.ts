import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { isEmpty, SPEC_OPTIONS, specOf } from './metric-options.ts'
import { editMetric, refuseTypeInPipeline } from './metrics-edit.ts'

export const command: Command = {
  name: 'metrics modify',
  summary: 'Say how a metric file of a 2019 stage is read.',
  arguments: [{ name: '<path>', summary: 'The metric file.' }],
  options: SPEC_OPTIONS,
  examples: ['cairn metrics modify model/metrics.json --type json --xpath acc'],
  async run(context, [target = ''], options) {
    const spec = specOf(options)
    if (isEmpty(spec)) throw new CairnError('USAGE', 'one of the arguments -t/--type -x/--xpath is required')
    await editMetric(context, target, (current, stage) => {
      if (!current)
        throw new CairnError('COMMAND_FAILED', `'${target}' is not a metric`, {
          hint: `make it one: cairn metrics add ${target}`,
        })
      refuseTypeInPipeline(stage, spec)
      return { ...current, ...spec }
    })
  },
}
