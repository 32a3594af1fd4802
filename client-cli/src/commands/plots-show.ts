import type { Command } from '../command.ts'
import { openRepo } from '../repo/open.ts'
import { PAGE_OPTIONS, PROPS_OPTIONS } from './plot-options.ts'
import { showPlots } from './plots.ts'

export const command: Command = {
  name: 'plots show',
  summary: 'Draw plots of files and of the definitions in dvc.yaml, as a page.',
  description:
    'Writes dvc_plots/index.html and prints its address. The page loads Vega from a CDN; --show-vega and --json print what it ' +
    'draws, complete, for any other program.',
  arguments: [{ name: '[target...]', summary: 'Files, or ids of plots in dvc.yaml; all plots by default.' }],
  options: [...PROPS_OPTIONS, ...PAGE_OPTIONS],
  examples: ['cairn plots show', 'cairn plots show loss.csv -x epoch -y loss', 'cairn plots show loss.csv --show-vega'],
  async run(context, targets, options) {
    const repo = openRepo(context.cwd, context.env)
    try {
      await showPlots(repo, context, { targets, revs: ['workspace'], options })
    } finally {
      await repo.git?.close()
    }
  },
}
