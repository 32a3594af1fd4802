import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import type { Series } from './plot-points.ts'
import type { Point } from './plot-sources.ts'
import { anchorOf, fillAnchor, hasAnchor, type Template } from './vega-template.ts'

/** A plot of all its revisions, ready to be drawn. */
export interface Plot extends Series {
  title: string
  /** Those that have points, in the order of the command line. */
  revisions: readonly string[]
}

const SEPARATOR = '::'
const COLORS = ['#945dd6', '#13adc7', '#f46837', '#48bb78', '#4299e1', '#ed8936', '#f56565']
const DASHES = [[1, 0], [8, 8], [8, 4], [4, 4], [4, 2], [2, 1], [1, 1]] // prettier-ignore
const SHAPES = ['circle', 'square', 'triangle', 'diamond']

/** What an editor sets itself when it asks for a template with its anchors apart. */
const SPLIT = new Set([
  'color',
  'data',
  'plot_height',
  'plot_width',
  'shape',
  'stroke_dash',
  'title',
  'tooltip',
  'x_label',
  'y_label',
  'zoom_and_pan',
])

const LINE_ANCHORS = new Set(['row', 'column', 'shape', 'stroke_dash'])

export interface Filled {
  spec: Template
  /** With `split`: what belongs at the anchors that were left. */
  anchors: Map<string, unknown>
}

/**
 * The Vega-Lite specification of a plot: its template with every anchor filled.
 * @throws CairnError FAILED when the template has no place for the points
 */
export function fillTemplate(template: Template, plot: Plot, name: string, split = false): Filled {
  if (!hasAnchor(template, 'data'))
    throw new CairnError('FAILED', `Template '${name}' is not using '${anchorOf('data')}' anchor`, {
      data: { type: 'BadTemplateError' },
    })
  const varied = variedIn(plot)
  let spec = template
  const anchors = new Map<string, unknown>()
  const fill = (anchor: string, value: unknown) => {
    // What tells lines apart has no content of its own where there is one line.
    const isEmpty = varied.length === 0 && LINE_ANCHORS.has(anchor)
    if (split && SPLIT.has(anchor) && !isEmpty) anchors.set(anchorOf(anchor), value)
    else spec = fillAnchor(spec, anchor, value)
  }
  const optional = optionalAnchors(plot, varied).filter(([anchor]) => hasAnchor(template, anchor))
  for (const [anchor, value] of optional) fill(anchor, value)
  const points = optional.length === 0 ? plot.points : withLineNames(plot.points, varied)
  fill('title', plot.title)
  fill('x', escaped(plot.x))
  fill('y', escaped(plot.y))
  fill('x_label', plot.xLabel)
  if (plot.yLabel !== undefined) fill('y_label', plot.yLabel)
  fill('data', points)
  return { spec, anchors }
}

/** Vega reads `a.b` and `a[0]` as paths: one that stands somewhere unescaped takes the field away from all others. */
const escaped = (field: string): string => field.replace(/[.[\]]/g, '\\$&')

type Varied = ReadonlyArray<'filename' | 'field'>

/** What tells a plot's lines apart. */
function variedIn({ sources }: Plot): Varied {
  if (sources.length <= 1) return []
  return (['filename', 'field'] as const).filter((key) => new Set(sources.map((source) => source[key])).size > 1)
}

function optionalAnchors(plot: Plot, varied: Varied): Array<[anchor: string, value: unknown]> {
  const line = varied.join(SEPARATOR)
  const lineField = varied.length > 0 ? [line] : []
  const groups = ['rev', ...lineField]
  const domain = [...new Set(plot.sources.map((source) => varied.map((key) => source[key]).join(SEPARATOR)))]
  const lines = domain.toSorted(compareCodePoints)
  const facet = varied.length > 0 ? { field: line, sort: [] } : {}
  const mark = (range: readonly unknown[]) => (varied.length > 0 ? { ...scaleOf(line, lines, range), legend: LEGEND } : {})
  return [
    ['color', scaleOf('rev', plot.revisions, COLORS)],
    ['zoom_and_pan', { name: 'grid', select: 'interval', bind: 'scales' }],
    ['plot_height', 300],
    ['plot_width', 300],
    ['group_by', groups],
    ['group_by_x', [...groups, escaped(plot.x)]],
    ['group_by_y', [...groups, escaped(plot.y)]],
    ['pivot_field', ['rev', ...varied].map((key) => `datum.${key}`).join(` + '${SEPARATOR}' + `)],
    ['row', facet],
    ['column', facet],
    ['tooltip', ['rev', plot.x, plot.y, ...lineField].map((field) => ({ field: escaped(field) }))],
    ['stroke_dash', mark(DASHES)],
    ['shape', mark(SHAPES)],
  ]
}

const LEGEND = { symbolFillColor: 'transparent', symbolStrokeColor: 'grey' }

const scaleOf = (field: string, domain: readonly string[], range: readonly unknown[]) => ({
  field,
  scale: { domain, range: domain.map((_value, at) => range[at % range.length]) },
})

/** Points keep of `filename` and `field` what tells their line apart, both as one name when both do. */
function withLineNames(points: readonly Point[], varied: Varied): Point[] {
  return points.map((point) => {
    const named: Point = new Map(point)
    if (varied.length === 2) named.set(varied.join(SEPARATOR), varied.map((key) => String(point.get(key))).join(SEPARATOR))
    for (const key of ['filename', 'field'] as const) if (varied.length === 2 || !varied.includes(key)) named.delete(key)
    return named
  })
}
