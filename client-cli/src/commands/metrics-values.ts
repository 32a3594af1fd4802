import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import { pythonRepr } from '../pipeline/json-value.ts'
import { metricValues } from '../pipeline/metric-value.ts'
import type { MetricFile } from '../pipeline/metrics.ts'
import type { Naming } from '../pipeline/read-content.ts'
import type { MetricSpec } from '../pipeline/stage.ts'
import type { Repo } from '../repo/repo.ts'
import type { OpenRevision } from './revision-metrics.ts'

/** A revision under the name that is shown. */
export type NamedMetrics = OpenRevision & { name: string }

/** True when any revision has a metric of a 2019 stage: then the repository's metrics are shown as then. */
export const isLegacyRepository = (revisions: readonly OpenRevision[]): boolean =>
  revisions.some((revision) => revision.files.some((file) => file.spec !== undefined))

/**
 * The shape of 2019: a tab, the file, its values; with several revisions a heading each, the workspace's first. Returns 1 when
 * there was nothing to print.
 */
export async function showValues(
  { repo, context, name }: { repo: Repo; context: Context; name: Naming },
  revisions: readonly NamedMetrics[],
  override: MetricSpec | undefined,
): Promise<number | void> {
  const blocks: Array<{ rev: string; lines: string[] }> = []
  for (const revision of revisions) {
    const lines: string[] = []
    for (const file of revision.files) lines.push(...(await valueLine({ context, name }, revision, file, override)))
    blocks.push({ rev: revision.name, lines })
  }
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

async function valueLine(
  { context, name }: { context: Context; name: Naming },
  { name: rev, content }: NamedMetrics,
  file: MetricFile,
  override: MetricSpec | undefined,
): Promise<string[]> {
  const warn = (text: string): string[] => {
    context.report({ type: 'warning', text })
    return []
  }
  const found = await content?.read(file.path)
  if (!found || 'absent' in found) return warn(absence(file.path, rev, name, found?.absent))
  const spec = { ...file.spec, ...override }
  // An xpath alone means JSON where nothing else was said.
  if (spec.xpath !== undefined && spec.type === undefined) spec.type = 'json'
  try {
    const values = metricValues(found.bytes.toString('utf8'), spec, file.path)
    if (typeof values === 'string') return [`\t${name(file.path)}: ${values}`]
    if (values.length === 0) return warn(`${name(file.path)} of '${rev}': the xpath '${spec.xpath ?? ''}' finds nothing`)
    return [`\t${name(file.path)}: ${pythonRepr(values)}`]
  } catch (error) {
    if (error instanceof CairnError) return warn(`${error.message} (${rev})`)
    throw error
  }
}

function absence(file: string, rev: string, name: Naming, absent: 'file' | 'object' | undefined): string {
  const shown = name(file)
  if (absent === 'object') return `${shown}: '${file}' of '${rev}' is not in the cache; get it with 'cairn fetch -a -T'`
  if (rev === 'workspace') return `${shown}: [Errno 2] No such file or directory: '${file}'`
  return `${shown}: '${file}' is not in revision '${rev}'; get it with 'cairn fetch -a -T'`
}
