import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import { editTopMetrics, writeStage } from '../pipeline/save-stage.ts'
import type { MetricSpec, Out, Stage } from '../pipeline/stage.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { isEmpty } from './metric-options.ts'
import { withStages } from './session.ts'
import { rootRelative } from './root-relative.ts'

/** What to make of an output as a metric: `undefined` for none. Throws to refuse. */
export type MetricEdit = (current: MetricSpec | undefined, stage: Stage) => MetricSpec | undefined

/**
 * Changes what the stage of an output says of it as a metric: in its 2019 file, in dvc.yaml, or for added data at the top of
 * the dvc.yaml beside it. A stage's checksum is left alone: it does not cover metrics.
 * @throws CairnError COMMAND_FAILED when no stage has that output
 */
export async function editMetric(context: Context, target: string, edit: MetricEdit): Promise<void> {
  await withStages(context, async ({ repo, load }) => {
    const location = rootRelative(repo, context.cwd, target)
    await withRepoLock(repo, context.signal, async () => {
      const stages = await load()
      const stage = stages.find((each) => each.outs.some((out) => out.path === location))
      if (!stage) {
        throw new CairnError('COMMAND_FAILED', `'${target}' is not an output of a stage`, {
          hint: `make it one: cairn run -M ${target} …`,
        })
      }
      const changed =
        stage.kind === 'data' ? editTopMetrics(repo, stage, location, edit) : writeStage(repo, withMetric(stage, location, edit))
      for (const file of changed) context.report({ type: 'result', text: `Saving '${target}' in '${file}'.` })
    })
  })
}

function withMetric(stage: Stage, location: string, edit: MetricEdit): Stage {
  const outs = stage.outs.map((out): Out => {
    if (out.path !== location) return out
    const { metric: current, ...rest } = out
    const metric = edit(current, stage)
    return metric ? { ...rest, metric } : rest
  })
  return { ...stage, outs }
}

/** dvc.yaml has no types: a metric there is read by its suffix. */
export function refuseTypeInPipeline(stage: Stage, spec: MetricSpec): void {
  if (stage.kind === 'legacy' || isEmpty(spec)) return
  throw new CairnError('COMMAND_FAILED', 'metrics in dvc.yaml have no type or xpath: they are read by their suffix', {
    hint: 'give -t and -x to metrics show instead',
  })
}
