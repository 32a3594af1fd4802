import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { requireExperiment } from '../experiments/refs.ts'
import { withExperiments } from './exp-session.ts'

export const command: Command = {
  name: 'exp branch',
  summary: 'Make a Git branch of an experiment.',
  arguments: [
    { name: '<experiment>', summary: 'Its name, or its commit.' },
    { name: '[branch]', summary: "The branch's name; the experiment's with -branch by default." },
  ],
  examples: ['cairn exp branch azure-tach better-model'],
  run: (context, [name = '', given]) =>
    withExperiments(context, `branch ${name}`, async ({ refs, head, writer }) => {
      const experiment = requireExperiment(refs, name, head)
      const branch = given ?? `${experiment.name}-branch`
      if (writer.git.branches().includes(branch)) throw new CairnError('FAILED', `Git branch '${branch}' already exists.`)
      await writer.ask(['check-ref-format', '--branch', branch])
      await writer.setRef(`refs/heads/${branch}`, experiment.rev)
      context.report({
        type: 'result',
        text: `Git branch '${branch}' has been created from experiment '${name}'.\nTo switch to the new branch run:\n\n\tgit checkout ${branch}`,
      })
    }),
}
