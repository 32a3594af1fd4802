import { CairnError } from '@cairn/protocol/error'
import type { Command, Context } from '../command.ts'
import type { PlotProps } from '../pipeline/plot-definitions.ts'
import { writeStage } from '../pipeline/save-stage.ts'
import type { Out, Stage } from '../pipeline/stage.ts'
import { refuseTemplated } from '../pipeline/template-refusal.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { PROPS_OPTIONS, propsOf } from './plot-options.ts'
import { findTemplate } from './plot-template.ts'
import { rootRelative } from './root-relative.ts'
import { withStages } from './session.ts'

export const command: Command = {
  name: 'plots modify',
  summary: "Say how a stage's output is drawn; the output becomes a plot.",
  arguments: [{ name: '<target>', summary: 'An output of a stage.' }],
  options: [...PROPS_OPTIONS, { flags: '--unset <property...>', summary: 'Forget these properties.' }],
  examples: ['cairn plots modify loss.csv -x epoch -y loss', 'cairn plots modify loss.csv --unset x'],
  async run(context, [target = ''], options) {
    const unset = Array.isArray(options['unset']) ? options['unset'].map(String) : undefined
    await modify(context, target, propsOf(options), unset)
  },
}

async function modify(context: Context, target: string, props: PlotProps, unset: readonly string[] | undefined): Promise<void> {
  await withStages(context, async ({ repo, load }) => {
    if (props['template'] !== undefined) findTemplate(repo, context, props['template'])
    const location = rootRelative(repo, context.cwd, target)
    await withRepoLock(repo, context.signal, async () => {
      const stage = (await load()).find((each) => each.outs.some((out) => out.path === location))
      if (!stage) throw new CairnError('FAILED', `Unable to find DVC file with output '${target}'`)
      refuseTemplated(stage, 'change')
      writeStage(repo, withPlot(stage, location, { target, props, unset }))
    })
  })
}

interface PlotChange {
  target: string
  props: PlotProps
  unset: readonly string[] | undefined
}

function withPlot(stage: Stage, location: string, { target, props, unset }: PlotChange): Stage {
  const outs = stage.outs.map((out): Out => {
    if (out.path !== location) return out
    const { plot } = out
    if (plot === undefined && unset !== undefined)
      throw new CairnError('FAILED', `'${target}' is not a known plot. Use \`cairn plots modify\` to turn it into one.`)
    const missing = (unset ?? []).filter((key) => plot?.[key] === undefined)
    if (missing.length > 0) {
      const names = missing.map((key) => `'${key}'`).join(', ')
      throw new CairnError('FAILED', `display properties [${names}] not found in plot '${target}'`)
    }
    const kept = Object.entries(plot ?? {}).filter(([key]) => unset?.includes(key) !== true)
    return { ...out, plot: { ...Object.fromEntries(kept), ...props } }
  })
  return { ...stage, outs }
}
