import type { Command } from '../command.ts'
import { diffValues } from '../pipeline/value-diff.ts'
import { openMetrics, readMetrics } from './revision-metrics.ts'
import { ARGUMENTS, DIFF_OPTIONS, showDiff } from './value-diffs.ts'
import { precisionOf } from './metrics-show.ts'

export const command: Command = {
  name: 'metrics diff',
  summary: 'Print what changed in the metrics between two commits, or a commit and the workspace.',
  description: 'Commits are read out of Git and the cache; nothing is checked out.',
  arguments: ARGUMENTS,
  options: [
    { flags: '--targets <path...>', summary: 'Only these files, metrics or not, or the files of these folders.' },
    { flags: '-R, --recursive', summary: 'Take the files of a folder; this is done anyway.' },
    { flags: '--all', summary: 'What did not change too.' },
    ...DIFF_OPTIONS,
    { flags: '--precision <digits>', summary: 'Decimal digits in the table; 5 by default.' },
  ],
  examples: [
    'cairn metrics diff',
    'cairn metrics diff v1.0 main --all',
    'cairn metrics diff HEAD~1 --targets model/metrics.json',
  ],
  run: (context, revisions, options) =>
    showDiff(context, revisions, options, {
      title: 'Metric',
      precision: precisionOf(options),
      read: async (session, revision, targets) =>
        readMetrics(await openMetrics(session, revision, targets), revision.shown, session.name),
      compare: (old, next) => diffValues(old.files, next.files, options['all'] === true),
    }),
}
