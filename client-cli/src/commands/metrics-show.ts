import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { openObjectCache } from '../cache/object-cache.ts'
import type { Command, Context, Options } from '../command.ts'
import { jsonText, pythonRepr } from '../pipeline/json-value.ts'
import { metricValues } from '../pipeline/metric-value.ts'
import { collectMetrics, isLegacyRepository, type MetricFile, parseMetric, type RevisionMetrics } from '../pipeline/metrics.ts'
import { type MetricContent, metricsJson, type MetricsOf, metricsTable, shownValues } from '../pipeline/metrics-table.ts'
import type { MetricSpec } from '../pipeline/stage.ts'
import { revisionTree, workingTree } from '../repo/file-tree.ts'
import { openRepo } from '../repo/open.ts'
import type { Repo } from '../repo/repo.ts'
import { isEmpty, SPEC_OPTIONS, specOf } from './metric-options.ts'
import { rootRelative } from './root-relative.ts'

export const command: Command = {
  name: 'metrics show',
  summary: 'Print metrics, of the workspace or of many revisions.',
  description:
    'Revisions are read out of Git; nothing is checked out, and the work tree may be dirty. Metrics of 2019 stage files are ' +
    'printed as values of their type and xpath, all others as a table.',
  arguments: [{ name: '[target...]', summary: 'Metric files; all of them by default.' }],
  options: [
    { flags: '-T, --all-tags', summary: 'Of all tags too.' },
    { flags: '-a, --all-branches', summary: 'Of all branches too.' },
    ...SPEC_OPTIONS,
    { flags: '--json', summary: 'Print JSON.' },
    { flags: '--md', summary: 'Print a Markdown table.' },
    { flags: '--precision <digits>', summary: 'Decimal digits in the table; 5 by default.' },
  ],
  examples: ['cairn metrics show', 'cairn metrics show -T', 'cairn metrics show -t json -x acc model/metrics.json'],
  async run(context, targets, options) {
    const repo = openRepo(context.cwd, context.env)
    try {
      const revisions = await collectRevisions(repo, context, targets, options)
      const spec = specOf(options)
      const override = isEmpty(spec) ? undefined : spec
      const legacy = override !== undefined || isLegacyRepository(revisions)
      if (legacy && options['json'] !== true) return showValues(repo, context, revisions, override)
      return showTable(repo, context, revisions, options)
    } finally {
      await repo.git?.close()
    }
  },
}

async function collectRevisions(
  repo: Repo,
  context: Context,
  targets: readonly string[],
  options: Options,
): Promise<RevisionMetrics[]> {
  const cache = openObjectCache(repo.cacheDir, { tmpDir: repo.tmpDir })
  try {
    const paths = targets.map((target) => rootRelative(repo, context.cwd, target))
    const revisions = [await collectMetrics(workingTree(repo), cache, paths)]
    for (const rev of revisionNames(repo, options)) {
      context.signal.throwIfAborted()
      revisions.push(await collectMetrics(revisionTree(repo, rev), cache, paths))
    }
    return revisions
  } finally {
    cache.close()
  }
}

function revisionNames(repo: Repo, options: Options): string[] {
  const branches = options['allBranches'] === true
  const tags = options['allTags'] === true
  if (!branches && !tags) return []
  if (repo.git === undefined) throw new CairnError('FAILED', 'tags and branches: only supported for Git repositories')
  return [...(branches ? repo.git.branches() : []), ...(tags ? repo.git.tags() : [])]
}

/** The shape of 2019: a tab, the file, its values; with several revisions a heading each. */
function showValues(
  repo: Repo,
  context: Context,
  revisions: readonly RevisionMetrics[],
  override: MetricSpec | undefined,
): number | void {
  const blocks = revisions.map((revision) => ({
    rev: revision.rev,
    lines: revision.files.flatMap((file) => valueLine(repo, context, revision.rev, file, override)),
  }))
  const [workspace, ...others] = blocks
  const branch = repo.git?.branch()
  const current = others.find((block) => block.rev === branch)
  const repeated = current && workspace && current.lines.join('\n') === workspace.lines.join('\n')
  const shown = repeated ? others : blocks
  for (const { rev, lines } of shown) {
    if (lines.length === 0) continue
    const heading = rev === 'workspace' && !current ? (branch ?? rev) : rev
    if (others.length > 0) context.report({ type: 'output', text: `${heading}:` })
    for (const line of lines) context.report({ type: 'output', text: line })
  }
  if (shown.every(({ lines }) => lines.length === 0)) return 1
}

function valueLine(repo: Repo, context: Context, rev: string, file: MetricFile, override: MetricSpec | undefined): string[] {
  const shown = fromCwd(repo, context.cwd, file.path)
  if (file.text === undefined)
    return warn(
      context,
      `${shown}: ${file.missing ?? 'missing'}${rev === 'workspace' ? '' : `; get it with 'cairn fetch -a -T'`}`,
    )
  const spec = { ...file.spec, ...override }
  // An xpath alone means JSON where nothing else was said.
  if (spec.xpath !== undefined && spec.type === undefined) spec.type = 'json'
  try {
    const values = metricValues(file.text, spec, file.path)
    if (typeof values === 'string') return [`\t${shown}: ${values}`]
    if (values.length === 0) return warn(context, `${shown} of '${rev}': the xpath '${spec.xpath ?? ''}' finds nothing`)
    return [`\t${shown}: ${pythonRepr(values)}`]
  } catch (error) {
    if (error instanceof CairnError) return warn(context, `${error.message} (${rev})`)
    throw error
  }
}

function warn(context: Context, text: string): string[] {
  context.report({ type: 'warning', text })
  return []
}

const fromCwd = (repo: Repo, cwd: string, file: string): string =>
  path.relative(cwd, path.join(repo.root, file)).split(path.sep).join('/')

/** The shape of today: a table, or JSON. Several names of one commit share its rows. */
function showTable(repo: Repo, context: Context, revisions: readonly RevisionMetrics[], options: Options): void {
  const [workspace, ...others] = revisions.map((revision) => contentOf(repo, context.cwd, revision))
  const grouped = groupByCommit(repo, others)
  const branch = repo.git?.branch()
  const current = options['allBranches'] === true ? grouped.find(({ rev }) => rev.split(',').includes(branch ?? '')) : undefined
  const hidden =
    current &&
    workspace &&
    jsonText(metricsJson([{ ...workspace, rev: '' }])) === jsonText(metricsJson([{ ...current, rev: '' }]))
  const shown = [
    ...(workspace && !hidden ? [others.length > 0 || revisions.length > 1 ? workspace : { ...workspace, rev: '' }] : []),
    ...grouped,
  ]
  const broken = shown
    .filter(({ files }) => [...files.values()].some((content) => 'error' in content))
    .map(({ rev }) => `'${rev}'`)
  if (options['json'] === true) context.report({ type: 'output', text: jsonText(metricsJson(shown)) })
  else {
    const precision = options['precision'] === undefined ? 5 : Number(options['precision'])
    if (!Number.isInteger(precision) || precision < 0 || precision > 50)
      throw new CairnError('USAGE', 'argument --precision: expected a number of digits, 0 to 50')
    const text = metricsTable(shown, { revisions: revisions.length > 1, precision, markdown: options['md'] === true })
    if (text !== '') context.report({ type: 'output', text })
  }
  if (broken.length > 0)
    context.report({ type: 'note', text: `DVC failed to load some metrics for following revisions: ${broken.join(', ')}.` })
}

function contentOf(repo: Repo, cwd: string, { rev, files }: RevisionMetrics): MetricsOf {
  return { rev, files: new Map(files.map((file) => [fromCwd(repo, cwd, file.path), readContent(repo, cwd, file)])) }
}

function readContent(repo: Repo, cwd: string, file: MetricFile): MetricContent {
  if (file.text === undefined) {
    const msg = (file.missing ?? '').replace(`'${file.path}'`, `'${fromCwd(repo, cwd, file.path)}'`)
    return { error: { type: 'FileNotFoundError', msg } }
  }
  try {
    if (file.spec?.type !== undefined && file.spec.xpath !== undefined)
      return { data: metricValues(file.text, file.spec, file.path) }
    return { data: shownValues(parseMetric(file.text, file.path)) ?? new Map() }
  } catch (error) {
    if (error instanceof CairnError) return { error: { type: 'MetricsLoadError', msg: error.message } }
    throw error
  }
}

function groupByCommit(repo: Repo, revisions: readonly MetricsOf[]): MetricsOf[] {
  const groups = new Map<string, { names: string[]; files: MetricsOf['files'] }>()
  for (const { rev, files } of revisions) {
    const sha = repo.git?.resolve(rev) ?? rev
    const group = groups.get(sha)
    if (group) group.names.push(rev)
    else groups.set(sha, { names: [rev], files })
  }
  return [...groups.values()].map(({ names, files }) => ({ rev: [...new Set(names)].toSorted().join(','), files }))
}
