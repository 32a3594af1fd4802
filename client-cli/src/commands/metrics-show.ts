import { CairnError } from '@cairn/protocol/error'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { Command, Context, Options } from '../command.ts'
import { jsonText } from '../pipeline/json-value.ts'
import { metricsJson, type MetricsOf, metricsTable } from '../pipeline/metrics-table.ts'
import type { Naming } from '../pipeline/read-content.ts'
import { tableFormat } from '../pipeline/table.ts'
import { openRepo } from '../repo/open.ts'
import type { Repo } from '../repo/repo.ts'
import { isEmpty, SPEC_OPTIONS, specOf } from './metric-options.ts'
import { isLegacyRepository, showValues } from './metrics-values.ts'
import {
  isErrored,
  namingIn,
  openMetrics,
  type OpenRevision,
  readMetrics,
  renamed,
  reportErrored,
  withCache,
} from './revision-metrics.ts'
import { asksForRevisions, groupRevisions, type NamedRevision, namedRevisions, REVISION_OPTIONS } from './revisions.ts'
import { rootRelative } from './root-relative.ts'

export const command: Command = {
  name: 'metrics show',
  summary: 'Print metrics, of the workspace or of many revisions.',
  description:
    'Revisions are read out of Git; nothing is checked out, and the work tree may be dirty. Metrics of 2019 stage files are ' +
    'printed as values of their type and xpath, all others as a table.',
  arguments: [{ name: '[target...]', summary: 'Metric files, or folders of them; all metrics by default.' }],
  options: [
    ...REVISION_OPTIONS,
    { flags: '-R, --recursive', summary: 'Take the files of a folder; this is done anyway.' },
    ...SPEC_OPTIONS,
    { flags: '--json', summary: 'Print JSON.' },
    { flags: '--md', summary: 'Print a Markdown table.' },
    { flags: '--csv', summary: 'Print CSV.' },
    { flags: '--precision <digits>', summary: 'Decimal digits in the table; 5 by default.' },
  ],
  examples: ['cairn metrics show', 'cairn metrics show -T', 'cairn metrics show -t json -x acc model/metrics.json'],
  async run(context, targets, options) {
    const repo = openRepo(context.cwd, context.env)
    try {
      return await withCache(repo, (cache) => show({ repo, cache, context }, targets, options))
    } finally {
      await repo.git?.close()
    }
  },
}

interface Session {
  repo: Repo
  cache: ObjectCache
  context: Context
}

async function show(session: Session, targets: readonly string[], options: Options): Promise<number | void> {
  const { repo, context } = session
  const precision = precisionOf(options)
  const name = namingIn(repo, context.cwd)
  const spec = specOf(options)
  const override = isEmpty(spec) ? undefined : spec
  const named = await namedRevisions(repo, options)
  const opened = await openAll(session, named, targets, options)
  if ((override !== undefined || isLegacyRepository([...opened.values()])) && options['json'] !== true)
    return showValues({ repo, context, name }, underNames(opened, named), override)
  const shown = await readAll(session, opened, named, { name, many: asksForRevisions(options) })
  reportErrored(
    context,
    'metrics',
    shown.filter(isErrored).map(({ rev }) => rev),
  )
  const here = shown.map((metrics) => renamed(metrics, name))
  const text =
    options['json'] === true
      ? jsonText(metricsJson(here))
      : metricsTable(here, { revisions: asksForRevisions(options), precision, format: tableFormat(options) })
  if (text !== '') context.report({ type: 'output', text })
}

/** @throws CairnError USAGE */
export function precisionOf({ precision }: Options): number {
  const digits = precision === undefined ? 5 : Number(precision)
  if (!Number.isInteger(digits) || digits < 0 || digits > 50)
    throw new CairnError('USAGE', 'argument --precision: expected a number of digits, 0 to 50')
  return digits
}

/** The workspace and every commit once, by sha. */
async function openAll(
  session: Session,
  named: readonly NamedRevision[],
  targets: readonly string[],
  options: Options,
): Promise<Map<string, OpenRevision>> {
  const paths = targets.map((target) => rootRelative(session.repo, session.context.cwd, target))
  const shown = asksForRevisions(options) ? 'workspace' : ''
  const opened = new Map([['workspace', await openMetrics(session, { rev: 'workspace', shown }, paths)]])
  for (const { sha, names } of groupRevisions(named))
    opened.set(sha, await openMetrics(session, { rev: sha, shown: names.join(',') }, paths))
  return opened
}

function underNames(opened: ReadonlyMap<string, OpenRevision>, named: readonly NamedRevision[]) {
  return [{ name: 'workspace', sha: 'workspace' }, ...named].flatMap(({ name, sha }) => {
    const revision = opened.get(sha)
    return revision ? [{ ...revision, name }] : []
  })
}

/** Several names of one commit share its rows; the workspace is left out when it says the same as the branch it is on. */
async function readAll(
  { repo }: Session,
  opened: ReadonlyMap<string, OpenRevision>,
  named: readonly NamedRevision[],
  { name, many }: { name: Naming; many: boolean },
): Promise<MetricsOf[]> {
  const revisions = [{ sha: 'workspace', names: [many ? 'workspace' : ''] }, ...groupRevisions(named)]
  const read: MetricsOf[] = []
  for (const { sha, names } of revisions) {
    const open = opened.get(sha)
    if (open) read.push(await readMetrics(open, names.join(','), name))
  }
  const [workspace, ...others] = read
  const branch = many ? repo.git?.branch() : undefined
  const current = branch === undefined ? undefined : others.find(({ rev }) => rev === branch)
  const same = workspace && current && !isErrored(workspace) && saysOf(workspace) === saysOf(current)
  return same ? others : read
}

const saysOf = ({ files }: MetricsOf): string => jsonText(files)
