import type { Options, OptionSpec } from '../command.ts'
import { PLOT_KEYS } from '../pipeline/pipeline-outs.ts'
import type { PlotProps } from '../pipeline/plot-definitions.ts'

/** How a plot is drawn. */
export const PROPS_OPTIONS: readonly OptionSpec[] = [
  { flags: '-t, --template <name>', summary: "A template's name, or its file; of .dvc/plots too." },
  { flags: '-x <field>', summary: 'The field of the x axis.' },
  { flags: '-y <field>', summary: 'The field of the y axis.' },
  { flags: '--no-header', summary: 'The first line of a CSV or TSV file is not the names of its columns.' },
  { flags: '--title <text>', summary: 'The title.' },
  { flags: '--x-label <text>', summary: 'What stands at the x axis.' },
  { flags: '--y-label <text>', summary: 'What stands at the y axis.' },
]

export const PAGE_OPTIONS: readonly OptionSpec[] = [
  { flags: '-o, --out <folder>', summary: 'Where the page goes; dvc_plots by default.' },
  { flags: '--show-vega', summary: 'Print the Vega-Lite specification of the one target.' },
  { flags: '--json', summary: 'Print all plots as JSON.' },
  { flags: '--split', summary: 'With --json: keep the anchors of templates apart from the specification.' },
  { flags: '--open', summary: 'Open the page in the browser.' },
  { flags: '--html-template <file>', summary: 'A page of your own, with {plot_divs} where the plots go.' },
]

/** The properties that were given; the rest stays as it is defined. */
export function propsOf(options: Options): PlotProps {
  const given = {
    ...options,
    x_label: options['xLabel'],
    y_label: options['yLabel'],
    header: options['header'] === false ? false : undefined,
  }
  const props: Readonly<Record<string, unknown>> = given
  return Object.fromEntries(PLOT_KEYS.flatMap((key) => (props[key] === undefined ? [] : [[key, props[key]]])))
}
