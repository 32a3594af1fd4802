import type { Command } from '../command.ts'
import { queuedExperiments } from '../experiments/queue.ts'
import { createdText } from '../experiments/experiments-table.ts'
import { tableText } from '../pipeline/table.ts'
import { withExperiments } from './exp-session.ts'

export const command: Command = {
  name: 'queue status',
  summary: 'Print the experiments that wait to be run.',
  examples: ['cairn queue status'],
  run: (context) =>
    withExperiments(context, 'status', async ({ repo, writer }) => {
      const queued = await queuedExperiments(repo, writer)
      const times = await Promise.all(queued.map(({ rev }) => writer.ask(['log', '-1', '--format=%cI', rev])))
      const rows = queued.map(({ rev, name }, at) => [
        rev.slice(0, 7),
        name,
        createdText(times[at]?.[0] ?? null, 'plain', new Date()) ?? '',
        'Queued',
      ])
      const table =
        rows.length === 0 ? 'No experiment tasks in the queue.' : tableText(['Task', 'Name', 'Created', 'Status'], rows, 'plain')
      context.report({ type: 'result', text: `${table}\n\nWorker status: 0 active, 0 idle` })
    }),
}
