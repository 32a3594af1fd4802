import { CairnError } from '@cairn/protocol/error'
import type { Command, Options } from '../command.ts'
import { dequeue, type Queued, queuedExperiments } from '../experiments/queue.ts'
import { quoted, withExperiments } from './exp-session.ts'

export const command: Command = {
  name: 'queue remove',
  summary: 'Forget experiments that wait to be run.',
  arguments: [{ name: '[task...]', summary: 'Their names, or the beginnings of their commits.' }],
  options: [
    { flags: '--queued', summary: 'All that wait.' },
    { flags: '--all', summary: 'The same: experiments that were run are not kept in the queue.' },
  ],
  examples: ['cairn queue remove azure-tach', 'cairn queue remove --queued'],
  run: (context, tasks, options) =>
    withExperiments(context, 'remove', async ({ repo, writer }) => {
      const chosen = choose(await queuedExperiments(repo, writer), tasks, options)
      for (const one of chosen) await dequeue(writer, one)
      const names = chosen.map(({ name }) => name).join(', ')
      context.report({ type: 'result', text: names === '' ? 'No tasks found named []' : `Removed tasks in queue: ${names}` })
    }),
}

function choose(queued: readonly Queued[], tasks: readonly string[], options: Options): readonly Queued[] {
  const all = options['all'] === true || options['queued'] === true
  if (all === tasks.length > 0)
    throw new CairnError('FAILED', 'Either provide an `tasks` argument, or use the `--all` or `--queued` flag.')
  if (all) return queued
  const find = (task: string) => queued.find(({ name, rev }) => name === task || (task.length >= 7 && rev.startsWith(task)))
  const unknown = tasks.filter((task) => find(task) === undefined)
  if (unknown.length === 0) return queued.filter((one) => tasks.some((task) => find(task) === one))
  const what = unknown.length === 1 ? 'is not a valid experiment name' : 'are not valid experiment names'
  throw new CairnError('FAILED', `${quoted(unknown)} ${what}`)
}
