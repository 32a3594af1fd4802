import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { collectExperiments } from '../experiments/collect.ts'
import { experimentsTable } from '../experiments/experiments-table.ts'
import { jsonText } from '../pipeline/json-value.ts'
import { tableFormat } from '../pipeline/table.ts'
import { baselines, BASELINE_OPTIONS, type ExpSession, withExperiments } from './exp-session.ts'
import { REVISION_OPTIONS } from './revisions.ts'

export const command: Command = {
  name: 'exp show',
  summary: 'Print experiments with their metrics, params and deps.',
  description: 'Everything is read out of Git and the cache; nothing is checked out.',
  options: [
    ...BASELINE_OPTIONS,
    ...REVISION_OPTIONS.filter(({ flags }) => !flags.startsWith('-A')),
    { flags: '--no-pager', summary: 'Accepted: the table is never paged.' },
    { flags: '--only-changed', summary: 'Leave columns out whose values are all the same.' },
    { flags: '--drop <regex>', summary: 'Leave columns out.', repeatable: true },
    { flags: '--keep <regex>', summary: 'Keep columns, whatever else leaves them out.', repeatable: true },
    { flags: '--param-deps', summary: 'Only params that stages depend on.' },
    { flags: '--sort-by <metric|param>', summary: 'Sort the experiments of each commit.' },
    { flags: '--sort-order <order>', summary: 'asc, the default, or desc.' },
    { flags: '--sha', summary: 'Commits by their sha, not by branch or tag.' },
    { flags: '--hide-failed', summary: 'Accepted: failed experiments are not kept.' },
    { flags: '--hide-queued', summary: 'Leave queued experiments out.' },
    { flags: '--hide-workspace', summary: 'Leave the workspace out.' },
    { flags: '--json', summary: 'Print JSON.' },
    { flags: '--csv', summary: 'Print CSV.' },
    { flags: '--md', summary: 'Print a Markdown table.' },
    { flags: '--precision <n>', summary: 'Significant digits in the table; 5 by default, all of them in CSV.' },
    { flags: '-f, --force', summary: 'Accepted: nothing is remembered between two calls.' },
  ],
  examples: ['cairn exp show', 'cairn exp show -A --only-changed', "cairn exp show --sort-by acc --drop 'data/.*' --csv"],
  run: (context, _args, options) => withExperiments(context, 'show', (session) => show(session, context, options)),
}

async function show(session: ExpSession, context: Context, options: Options): Promise<void> {
  const table = tableOptions(options)
  const { repo, workspace, writer, head } = session
  const commits = head === undefined ? [] : await baselines(session, options)
  const states =
    head === undefined
      ? []
      : await collectExperiments({ repo, cache: workspace.cache, writer }, commits, {
          paramDeps: options['paramDeps'] === true,
          hideQueued: options['hideQueued'] === true,
          hideWorkspace: options['hideWorkspace'] === true,
          sha: options['sha'] === true,
        })
  const text = options['json'] === true ? jsonText(states) : experimentsTable(states, table)
  context.report({ type: 'output', text })
}

/** @throws CairnError USAGE */
function tableOptions(options: Options): Parameters<typeof experimentsTable>[1] {
  const format = tableFormat(options)
  const { precision, sortOrder = 'asc', sortBy } = options
  const digits = precision === undefined ? (format === 'csv' ? undefined : 5) : Number(precision)
  if (digits !== undefined && (!Number.isInteger(digits) || digits < 1 || digits > 50))
    throw new CairnError('USAGE', `argument --precision: '${String(precision)}' is not a number from 1 to 50`)
  if (sortOrder !== 'asc' && sortOrder !== 'desc')
    throw new CairnError('USAGE', `argument --sort-order: invalid choice: '${String(sortOrder)}' (choose from asc, desc)`)
  return {
    format,
    precision: digits,
    sortBy: sortBy === undefined ? undefined : String(sortBy),
    descending: sortOrder === 'desc',
    onlyChanged: options['onlyChanged'] === true,
    drop: patterns('--drop', options['drop']),
    keep: patterns('--keep', options['keep']),
    now: new Date(),
  }
}

function patterns(name: string, given: unknown): RegExp[] {
  return (Array.isArray(given) ? given : []).map((pattern) => {
    try {
      return new RegExp(String(pattern))
    } catch (cause) {
      throw new CairnError('USAGE', `argument ${name}: '${String(pattern)}' is not a regular expression`, { cause })
    }
  })
}
