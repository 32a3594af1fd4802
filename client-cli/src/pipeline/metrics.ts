import type { RevisionContent } from './revision-content.ts'
import type { MetricSpec } from './stage.ts'

/** One metric file of one revision. */
export interface MetricFile {
  /** Root-relative. */
  path: string
  /** 2019: what its stage says of it; undefined for today's metrics. */
  spec?: MetricSpec
}

/**
 * The metric files that a revision declares, folders as the files in them; `targets` (root-relative) only when any are given,
 * then also files that no stage calls a metric.
 */
export async function metricFilesOf(content: RevisionContent, targets: readonly string[] = []): Promise<MetricFile[]> {
  const { stages, files } = content.pipelines
  const declared: MetricFile[] = [
    ...stages.flatMap((stage) =>
      stage.outs.flatMap((out): MetricFile[] =>
        out.metric ? [{ path: out.path, ...(stage.kind === 'legacy' && { spec: out.metric }) }] : [],
      ),
    ),
    ...[...files.values()].flatMap((file) => file.metrics).map((location) => ({ path: location })),
  ]
  const wanted =
    targets.length === 0
      ? declared
      : targets.map((location) => declared.find((each) => each.path === location) ?? { path: location })
  const found = new Map<string, MetricFile>()
  for (const each of wanted) {
    for (const file of await content.expand(each.path)) if (!found.has(file)) found.set(file, { ...each, path: file })
  }
  return [...found.values()]
}
