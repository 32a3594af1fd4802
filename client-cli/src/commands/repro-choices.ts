import { CairnError } from '@cairn/protocol/error'
import type { Options } from '../command.ts'
import { askYesNo } from '../io/ask.ts'
import type { ReproduceOptions } from '../pipeline/reproduce.ts'
import type { Stage } from '../pipeline/stage.ts'

/** What `repro` and `exp run` let a person choose in the same words. */
export const reproChoices = (options: Options) =>
  ({
    force: options['force'] === true,
    forceDownstream: options['forceDownstream'] === true,
    allowMissing: options['allowMissing'] === true,
    onFailure: options['keepGoing'] === true ? 'go-on' : options['ignoreErrors'] === true ? 'ignore' : 'stop',
  }) satisfies ReproduceOptions

/** @throws CairnError USAGE */
export function jobsOf({ jobs: given }: Options): number {
  const jobs = Number(given ?? 1)
  if (!Number.isInteger(jobs) || jobs < 1)
    throw new CairnError('USAGE', `argument -j/--jobs: '${String(given)}' is not a number of 1 or more`)
  return jobs
}

/** Asks before each stage, where `--interactive` wants it. */
export const confirming = (options: Options, signal: AbortSignal): Pick<ReproduceOptions, 'confirm'> =>
  options['interactive'] === true
    ? {
        confirm: (stage: Stage) => askYesNo(`Going to reproduce '${stage.address}'. Are you sure you want to continue?`, signal),
      }
    : {}
