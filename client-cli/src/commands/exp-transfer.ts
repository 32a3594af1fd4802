import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options, OptionSpec } from '../command.ts'
import { fetchRefs, pushRefs, remoteExperiments } from '../experiments/git-remote.ts'
import { type ExperimentRef, findExperiments } from '../experiments/refs.ts'
import { loadStages } from '../pipeline/load.ts'
import { revisionTree } from '../repo/file-tree.ts'
import type { Output } from '../transfer/expand.ts'
import { asksForBaselines, BASELINE_OPTIONS, type ExpSession, quoted, selectedRefs, withExperiments } from './exp-session.ts'
import { bringOutputs } from './fetch.ts'
import { sendOutputs } from './push.ts'
import { outputsOf } from './select-outputs.ts'
import { fetchRuns } from '../transfer/runs.ts'
import { chosenRemote, failForLeft, moveRuns, RUN_CACHE_OPTIONS, sendRuns, transferOptions } from './transfer.ts'

const ARGUMENTS = [
  { name: '<git_remote>', summary: 'A Git remote, by name or url.' },
  { name: '[experiment...]', summary: 'Their names; those of HEAD by default.' },
]

const OPTIONS: readonly OptionSpec[] = [
  ...BASELINE_OPTIONS,
  { flags: '-f, --force', summary: 'Replace experiments of the same name.' },
  { flags: '--no-cache', summary: 'Only the experiments, not the content of their outputs.' },
  { flags: '-r, --remote <name>', summary: 'The remote for the content instead of the default one.' },
  { flags: '-j, --jobs <n>', summary: 'How many bodies at a time.' },
  ...RUN_CACHE_OPTIONS,
]

export const push: Command = {
  name: 'exp push',
  summary: 'Send experiments to a Git remote, and the content of their outputs to the remote.',
  arguments: ARGUMENTS,
  options: OPTIONS,
  examples: ['cairn exp push origin', 'cairn exp push origin azure-tach --no-cache'],
  run: (context, [remote = '', ...names], options) =>
    withExperiments(context, 'push', async (session) => {
      const { writer } = session
      const chosen = await choose(session, session.refs, names, options)
      const there = new Map((await remoteExperiments(writer, remote)).map(({ ref, rev }) => [ref, rev]))
      const news = chosen.filter(({ ref, rev }) => there.get(ref) !== rev)
      await refuseDiverged(
        news.filter(({ ref }) => there.has(ref)),
        options,
      )
      // The content goes first: who sees the experiment can have it.
      if (options['cache'] !== false) await pushContent(session, context, chosen, options)
      await pushRefs(writer, remote, news, options['force'] === true)
      for (const one of chosen) {
        const what = news.includes(one) ? `Pushed experiment ${one.name} to` : `Experiment ${one.name} is up to date on`
        context.report({ type: 'result', text: `${what} Git remote '${remote}'.` })
      }
      if (chosen.length === 0) context.report({ type: 'result', text: 'No experiments to push.' })
    }),
}

export const pull: Command = {
  name: 'exp pull',
  summary: 'Bring experiments from a Git remote, and the content of their outputs into the cache.',
  arguments: ARGUMENTS,
  options: OPTIONS,
  examples: ['cairn exp pull origin', 'cairn exp pull origin azure-tach'],
  run: (context, [remote = '', ...names], options) =>
    withExperiments(context, 'pull', async (session) => {
      const { writer, workspace, repo } = session
      const chosen = await choose(session, await remoteExperiments(writer, remote), names, options)
      const here = new Map(session.refs.map(({ ref, rev }) => [ref, rev]))
      const news = chosen.filter(({ ref, rev }) => here.get(ref) !== rev)
      await refuseDiverged(
        news.filter(({ ref }) => here.has(ref)),
        options,
      )
      await fetchRefs(writer, remote, news, options['force'] === true)
      if (options['cache'] !== false && chosen.length > 0) {
        const outputs = await outputsIn(session, chosen)
        await moveRuns(repo, context, workspace.cache, { options, move: fetchRuns })
        const { left } = await bringOutputs(repo, context, { cache: workspace.cache, outputs, options })
        failForLeft(context, left, 'download')
      }
      const text =
        chosen.length === 0 ? 'No experiments to pull.' : `Pulled experiment '${listed(chosen)}' from Git remote '${remote}'.`
      context.report({ type: 'result', text })
    }),
}

const listed = (refs: readonly ExperimentRef[]): string => `[${refs.map(({ name }) => `'${name}'`).join(', ')}]`

async function choose(
  session: ExpSession,
  refs: readonly ExperimentRef[],
  names: readonly string[],
  options: Options,
): Promise<ExperimentRef[]> {
  const selected = names.length === 0 || asksForBaselines(options) ? await selectedRefs({ ...session, refs }, options) : []
  const { found, missing } = findExperiments(refs, names, session.head)
  if (missing.length > 0)
    throw new CairnError(
      'FAILED',
      `${quoted(missing)} ${missing.length === 1 ? 'is not a valid experiment name' : 'are not valid experiment names'}`,
    )
  return [...new Set([...found, ...selected])]
}

async function refuseDiverged(diverged: readonly ExperimentRef[], options: Options): Promise<void> {
  if (diverged.length === 0 || options['force'] === true) return
  throw new CairnError('FAILED', `other experiments of the names ${quoted(diverged.map(({ name }) => name))} are there already`, {
    hint: 'To replace them give -f.',
  })
}

async function outputsIn({ repo }: ExpSession, refs: readonly ExperimentRef[]): Promise<Output[]> {
  const outputs = new Map<string, Output>()
  for (const { rev } of refs) {
    const targets = (await loadStages(revisionTree(repo, rev))).map((stage) => ({ stage }))
    for (const output of outputsOf(targets, true)) outputs.set(`${output.digest}\0${output.remote ?? ''}`, output)
  }
  return [...outputs.values()]
}

async function pushContent(
  session: ExpSession,
  context: Context,
  refs: readonly ExperimentRef[],
  options: Options,
): Promise<void> {
  const { repo, workspace } = session
  await moveRuns(repo, context, workspace.cache, { options, move: sendRuns(workspace.cache, session.load) })
  const { left } = await sendOutputs(repo, context, {
    cache: workspace.cache,
    outputs: await outputsIn(session, refs),
    moving: transferOptions(context, options),
    chosen: chosenRemote(options),
  })
  failForLeft(context, left, 'upload')
}
