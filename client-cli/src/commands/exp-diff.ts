import { CairnError } from '@cairn/protocol/error'
import type { Command, Options } from '../command.ts'
import { stateOf } from '../experiments/collect.ts'
import { findExperiment } from '../experiments/refs.ts'
import { jsonText } from '../pipeline/json-value.ts'
import { tableFormat } from '../pipeline/table.ts'
import { diffTable, diffValues, type ValueDiff } from '../pipeline/value-diff.ts'
import { type ExpSession, withExperiments } from './exp-session.ts'
import { precisionOf } from './metrics-show.ts'

export const command: Command = {
  name: 'exp diff',
  summary: 'Print what changed in metrics and params between two experiments.',
  arguments: [
    { name: '[a_rev]', summary: 'The old experiment or commit; HEAD by default.' },
    { name: '[b_rev]', summary: 'The new one; the workspace by default.' },
  ],
  options: [
    { flags: '--all', summary: 'What did not change too.' },
    { flags: '--param-deps', summary: 'Only params that stages depend on.' },
    { flags: '--json', summary: 'Print JSON.' },
    { flags: '--md', summary: 'Print Markdown tables.' },
    { flags: '--no-path', summary: 'Leave the column of the files out.' },
    { flags: '--precision <digits>', summary: 'Decimal digits of metrics; 5 by default.' },
  ],
  examples: ['cairn exp diff azure-tach', 'cairn exp diff azure-tach better-model --json'],
  run: (context, [old = 'HEAD', next = 'workspace'], options) =>
    withExperiments(context, 'diff', async (session) => {
      const { metrics, params } = await compare(session, old, next, options)
      if (options['json'] === true) return context.report({ type: 'output', text: jsonText({ metrics, params }) })
      const table = { old, new: next, noPath: options['path'] === false, changes: true, format: tableFormat(options) }
      const tables = [
        diffTable(worded(metrics), { ...table, title: 'Metric', precision: precisionOf(options) }),
        diffTable(worded(params), { ...table, title: 'Param' }),
      ].filter((text) => text !== '')
      if (tables.length > 0) context.report({ type: 'output', text: tables.join(options['md'] === true ? '\n' : '\n\n') })
    }),
}

async function compare(
  session: ExpSession,
  old: string,
  next: string,
  options: Options,
): Promise<{ metrics: ValueDiff; params: ValueDiff }> {
  if (session.head === undefined) return { metrics: new Map(), params: new Map() }
  const [before, after] = [await valuesAt(session, old, options), await valuesAt(session, next, options)]
  const all = options['all'] === true
  const between = (kind: 'metrics' | 'params') => diffValues(before?.[kind] ?? new Map(), after?.[kind] ?? new Map(), all)
  return { metrics: between('metrics'), params: between('params') }
}

async function valuesAt({ repo, workspace, writer, refs, head }: ExpSession, name: string, options: Options) {
  const rev = name === 'workspace' ? name : (findExperiment(refs, name, head)?.rev ?? resolved(writer.git.resolve, name))
  const { data, error } = await stateOf({ repo, cache: workspace.cache, writer }, rev, name, {
    paramDeps: options['paramDeps'] === true,
  })
  if (error) throw new CairnError('FAILED', `failed to show experiments diff - ${error.msg}`, { exit: 1 })
  return data
}

function resolved(resolve: (rev: string) => string, rev: string): string {
  try {
    return resolve(rev)
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    throw new CairnError('FAILED', `failed to show experiments diff - ${error.message}`, { exit: 1, cause: error })
  }
}

const worded = (diff: ValueDiff): ValueDiff =>
  new Map(
    [...diff].map(([file, changes]) => [
      file,
      new Map([...changes].map(([key, change]) => [key, { ...change, diff: change.diff ?? 'diff not supported' }])),
    ]),
  )
