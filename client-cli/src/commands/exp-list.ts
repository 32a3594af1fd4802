import type { Command, Options } from '../command.ts'
import { describeCommits } from '../experiments/collect.ts'
import { remoteExperiments } from '../experiments/git-remote.ts'
import { type ExperimentRef } from '../experiments/refs.ts'
import { BASELINE_OPTIONS, type ExpSession, selectedRefs, withExperiments } from './exp-session.ts'

export const command: Command = {
  name: 'exp list',
  summary: 'Print the names of experiments.',
  arguments: [{ name: '[git_remote]', summary: 'Of a Git remote, by name or url, instead of this repository.' }],
  options: [
    ...BASELINE_OPTIONS,
    { flags: '--name-only', summary: 'Only names, one a line.' },
    { flags: '--names-only', summary: 'The same.', hidden: true },
    { flags: '--sha-only', summary: 'Only commits, one a line.' },
    { flags: '--shas-only', summary: 'The same.', hidden: true },
  ],
  examples: ['cairn exp list', 'cairn exp list -A --name-only', 'cairn exp list origin'],
  run: (context, [remote], options) =>
    withExperiments(context, 'list', async (session) => {
      const refs = remote === undefined ? session.refs : await remoteExperiments(session.writer, remote)
      const text = await listText({ ...session, refs }, options)
      if (text !== '') context.report({ type: 'output', text })
    }),
}

async function listText(session: ExpSession, options: Options): Promise<string> {
  const refs = await selectedRefs(session, options)
  if (options['nameOnly'] === true || options['namesOnly'] === true) return refs.map(({ name }) => name).join('\n')
  if (options['shaOnly'] === true || options['shasOnly'] === true) return refs.map(({ rev }) => rev).join('\n')
  const names = await describeCommits(session.writer)
  const groups = new Map<string, ExperimentRef[]>()
  for (const each of refs) groups.set(each.baseline, [...(groups.get(each.baseline) ?? []), each])
  const lines = [...groups].flatMap(([baseline, each]) => [
    `${names.get(baseline) ?? baseline.slice(0, 7)}:`,
    ...each.map(({ rev, name }) => `\t${rev.slice(0, 7)} [${name}]`),
  ])
  return lines.join('\n')
}
