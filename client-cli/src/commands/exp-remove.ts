import { CairnError } from '@cairn/protocol/error'
import type { Command, Options } from '../command.ts'
import { remoteExperiments, removeRemoteRefs } from '../experiments/git-remote.ts'
import { dequeue, type Queued, queuedExperiments } from '../experiments/queue.ts'
import { type ExperimentRef, findExperiments } from '../experiments/refs.ts'
import { asksForBaselines, BASELINE_OPTIONS, type ExpSession, quoted, selectedRefs, withExperiments } from './exp-session.ts'

export const command: Command = {
  name: 'exp remove',
  summary: 'Forget experiments.',
  description: 'Their objects stay in the cache until a gc.',
  arguments: [{ name: '[experiment...]', summary: 'Their names or commits; queued ones too.' }],
  options: [
    ...BASELINE_OPTIONS,
    { flags: '--queue', summary: 'Every queued experiment.' },
    { flags: '--keep', summary: 'All but the ones that are named.' },
    { flags: '-g, --git-remote <name>', summary: 'Of a Git remote, by name or url, instead of this repository.' },
  ],
  examples: ['cairn exp remove azure-tach', 'cairn exp remove -A --keep best-one', 'cairn exp remove --queue'],
  run: (context, names, options) =>
    withExperiments(context, 'remove', async (session) => {
      const remote = options['gitRemote'] === undefined ? undefined : String(options['gitRemote'])
      const refs = remote === undefined ? session.refs : await remoteExperiments(session.writer, remote)
      const removed = await remove({ ...session, refs }, names, options, remote)
      const text = removed.length > 0 ? `Removed experiments: ${quoted(removed)}` : 'No experiments to remove.'
      context.report({ type: 'result', text })
    }),
}

async function remove(
  session: ExpSession,
  names: readonly string[],
  options: Options,
  remote: string | undefined,
): Promise<string[]> {
  const { repo, writer } = session
  if (names.length === 0 && !asksForBaselines(options) && options['queue'] !== true)
    throw new CairnError(
      'FAILED',
      'Either provide an `experiment` argument, or use the `--rev` or `--all-commits` or `--queue` flag.',
    )
  const waiting = remote === undefined ? await queuedExperiments(repo, writer) : []
  const { refs, queued } = await choose(session, waiting, names, options)
  for (const one of queued) await dequeue(writer, one)
  if (remote !== undefined) await removeRemoteRefs(writer, remote, refs)
  else for (const { ref } of refs) await writer.removeRef(ref)
  return [...queued.map(({ name }) => name), ...refs.map(({ name }) => name)]
}

async function choose(
  session: ExpSession,
  waiting: readonly Queued[],
  names: readonly string[],
  options: Options,
): Promise<{ refs: readonly ExperimentRef[]; queued: readonly Queued[] }> {
  const queued = waiting.filter(({ name }) => names.includes(name) || options['queue'] === true)
  const selected = asksForBaselines(options) ? await selectedRefs(session, options) : []
  const { found, missing } = findExperiments(
    session.refs,
    names.filter((name) => !queued.some((one) => one.name === name)),
    session.head,
  )
  if (missing.length > 0)
    throw new CairnError(
      'FAILED',
      missing.length === 1
        ? `'${missing[0] ?? ''}' is not a valid experiment name`
        : `${quoted(missing)} are not valid experiment names`,
    )
  if (options['keep'] !== true) return { refs: [...new Set([...found, ...selected])], queued }
  const named = new Set(names.length > 0 ? found : selected)
  const from = names.length > 0 && selected.length > 0 ? selected : session.refs
  return { refs: from.filter((each) => !named.has(each)), queued: [] }
}
