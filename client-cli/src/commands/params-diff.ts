import type { Command } from '../command.ts'
import { paramValuesOf } from '../pipeline/params-values.ts'
import { diffValues } from '../pipeline/value-diff.ts'
import { tryContent } from './revision-metrics.ts'
import { ARGUMENTS, DIFF_OPTIONS, showDiff } from './value-diffs.ts'

export const command: Command = {
  name: 'params diff',
  summary: 'Print what changed in the params between two commits, or a commit and the workspace.',
  description: 'Params are those that stages depend on, the files that dvc.yaml names as params, and params.yaml of the root.',
  arguments: ARGUMENTS,
  options: [
    { flags: '--targets <path...>', summary: 'Only these files, params or not, whole.' },
    { flags: '--all', summary: 'What did not change too.' },
    { flags: '--deps', summary: 'Only what stages depend on.' },
    ...DIFF_OPTIONS,
  ],
  examples: ['cairn params diff', 'cairn params diff HEAD~1 --deps', 'cairn params diff v1.0 main --json'],
  run: (context, revisions, options) =>
    showDiff(context, revisions, options, {
      title: 'Param',
      async read(session, { rev, shown }, targets) {
        const content = await tryContent(session, { rev, shown, what: 'params' })
        if ('type' in content) return { rev: shown, files: new Map(), error: content }
        const { name } = session
        return { rev: shown, files: await paramValuesOf(content, { targets, depsOnly: options['deps'] === true, name }) }
      },
      compare: (old, next) => diffValues(old.files, next.files, options['all'] === true),
    }),
}
