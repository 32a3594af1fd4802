import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { applyExperiment } from '../experiments/apply.ts'
import { findExperiment } from '../experiments/refs.ts'
import { withExperiments } from './exp-session.ts'

export const command: Command = {
  name: 'exp apply',
  summary: "Bring an experiment's changes into the workspace.",
  description:
    'What stood in the workspace before is kept as a commit, refs/exps/apply/stash, until the next apply; outputs that are saved nowhere go into the cache.',
  arguments: [{ name: '<experiment>', summary: 'Its name, or its commit.' }],
  options: [{ flags: '--no-force', summary: 'Accepted; it has no meaning any more.', hidden: true }],
  examples: ['cairn exp apply azure-tach'],
  run: (context, [name = ''], _options) =>
    withExperiments(context, `apply ${name}`, async (session) => {
      const experiment = findExperiment(session.refs, name, session.head)
      if (!experiment) throw new CairnError('FAILED', `'${name}' does not appear to be an experiment commit.`)
      await applyExperiment(session, session.writer, experiment)
      context.report({
        type: 'result',
        text: `Changes for experiment '${name}' have been applied to your current workspace.`,
      })
    }),
}
