import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import { loadStages } from '../pipeline/load.ts'
import { METRIC_TYPES } from '../pipeline/metric-value.ts'
import { writeStage } from '../pipeline/save-stage.ts'
import type { MetricSpec, Out, Stage } from '../pipeline/stage.ts'
import { workingTree } from '../repo/file-tree.ts'
import { openRepo } from '../repo/open.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { rootRelative } from './root-relative.ts'

/**
 * Changes what the stage of an output says of it as a metric. The stage's checksum is left alone: it does not cover metrics.
 * @throws CairnError FAILED when no stage has that output
 */
export async function editMetric(context: Context, target: string, edit: (out: Out, stage: Stage) => Out): Promise<void> {
  const repo = openRepo(context.cwd, context.env)
  try {
    const location = rootRelative(repo, context.cwd, target)
    await withRepoLock(repo, context.signal, async () => {
      const stages = await loadStages(workingTree(repo))
      const stage = stages.find((each) => each.outs.some((out) => out.path === location))
      if (!stage) {
        throw new CairnError('COMMAND_FAILED', `'${target}' is not an output of a stage`, {
          hint: `make it one: cairn run -M ${target} …`,
        })
      }
      const outs = stage.outs.map((out) => (out.path === location ? edit(out, stage) : out))
      // Only a file of 2019 holds a metric outside of dvc.yaml.
      const changed: Stage = { ...stage, kind: stage.kind === 'data' ? 'legacy' : stage.kind, outs }
      for (const file of writeStage(repo, changed)) context.report({ type: 'result', text: `Saving '${target}' in '${file}'.` })
    })
  } finally {
    await repo.git?.close()
  }
}

/** `-t` and `-x`, checked. */
export function specOf(options: Readonly<Record<string, unknown>>): MetricSpec {
  const { type, xpath } = options
  const known = METRIC_TYPES.find((each) => each === String(type).toLowerCase())
  if (type !== undefined && known === undefined) {
    throw new CairnError(
      'USAGE',
      `argument -t/--type: invalid choice: '${String(type)}' (choose from ${METRIC_TYPES.join(', ')})`,
    )
  }
  return { ...(known && { type: known }), ...(typeof xpath === 'string' && xpath !== '' && { xpath }) }
}

/** dvc.yaml has no types: a metric there is read by its suffix. */
export function refuseTypeInPipeline(stage: Stage, spec: MetricSpec): void {
  if (stage.kind !== 'pipeline' || (spec.type === undefined && spec.xpath === undefined)) return
  throw new CairnError('COMMAND_FAILED', `metrics in '${stage.file}' have no type or xpath: they are read by their suffix`, {
    hint: 'give -t and -x to metrics show instead',
  })
}
