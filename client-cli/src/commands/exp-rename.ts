import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { fetchRefs, pushRefs, remoteExperiments, removeRemoteRefs } from '../experiments/git-remote.ts'
import { checkName, refOf, refuseTaken, requireExperiment } from '../experiments/refs.ts'
import { withExperiments } from './exp-session.ts'

export const command: Command = {
  name: 'exp rename',
  summary: 'Call an experiment by another name.',
  arguments: [
    { name: '<experiment>', summary: 'Its name, or its commit.' },
    { name: '<name>', summary: 'The new name.' },
  ],
  options: [
    { flags: '-f, --force', summary: 'Replace an experiment that has the name.' },
    { flags: '-g, --git-remote <name>', summary: 'On a Git remote, by name or url, instead of in this repository.' },
  ],
  examples: ['cairn exp rename azure-tach better-model'],
  run: (context, [old = '', name = ''], options) =>
    withExperiments(context, `rename ${old}`, async (session) => {
      const { writer, head } = session
      const remote = options['gitRemote'] === undefined ? undefined : String(options['gitRemote'])
      const refs = remote === undefined ? session.refs : await remoteExperiments(writer, remote)
      const experiment = requireExperiment(refs, old, head)
      if (experiment.name === name) throw new CairnError('FAILED', `'${name}' is the name of the experiment already`)
      await checkName(writer, name)
      const force = options['force'] === true
      if (!force) refuseTaken(refs, experiment.baseline, name)
      const renamed = { ...experiment, name, ref: refOf(experiment.baseline, name) }
      if (remote === undefined) {
        await writer.setRef(renamed.ref, experiment.rev)
        await writer.removeRef(experiment.ref)
      } else {
        await fetchRefs(writer, remote, [experiment], true)
        await writer.setRef(renamed.ref, experiment.rev)
        await pushRefs(writer, remote, [renamed], force)
        await removeRemoteRefs(writer, remote, [experiment])
      }
      context.report({ type: 'result', text: `Renamed experiments: '${old}'` })
    }),
}
