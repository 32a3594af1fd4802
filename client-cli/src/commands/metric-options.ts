import { CairnError } from '@cairn/protocol/error'
import type { Options, OptionSpec } from '../command.ts'
import { METRIC_TYPES } from '../pipeline/metric-value.ts'
import type { MetricSpec } from '../pipeline/stage.ts'

/** How a metric file is read, in the words of 2019. */
export const SPEC_OPTIONS: readonly OptionSpec[] = [
  { flags: '-t, --type <type>', summary: `Read it as one of ${METRIC_TYPES.join(', ')}.` },
  { flags: '-x, --xpath <path>', summary: 'What to show of it: `acc`, `a.b[0]`; `row,column` in csv and tsv.' },
]

/** `-t` and `-x`, checked. @throws CairnError USAGE */
export function specOf({ type, xpath }: Options): MetricSpec {
  const known = METRIC_TYPES.find((each) => each === String(type).toLowerCase())
  if (type !== undefined && known === undefined) {
    throw new CairnError(
      'USAGE',
      `argument -t/--type: invalid choice: '${String(type)}' (choose from ${METRIC_TYPES.join(', ')})`,
    )
  }
  return { ...(known && { type: known }), ...(typeof xpath === 'string' && xpath !== '' && { xpath }) }
}

export const isEmpty = (spec: MetricSpec): boolean => spec.type === undefined && spec.xpath === undefined
