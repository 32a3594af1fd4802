import type { Template } from './vega-template.ts'

const X = { field: '<DVC_METRIC_X>', type: 'quantitative', title: '<DVC_METRIC_X_LABEL>' }
const Y = { field: '<DVC_METRIC_Y>', type: 'quantitative', title: '<DVC_METRIC_Y_LABEL>' }
const FREE_Y = { ...Y, scale: { zero: false } }
const COLOR = '<DVC_METRIC_COLOR>'
const TOOLTIP = '<DVC_METRIC_TOOLTIP>'
const ZOOM = '<DVC_METRIC_ZOOM_AND_PAN>'

const FRAME = {
  $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
  data: { values: '<DVC_METRIC_DATA>' },
  title: { text: '<DVC_METRIC_TITLE>', anchor: 'middle' },
}
const SIZED = { ...FRAME, width: '<DVC_METRIC_PLOT_WIDTH>', height: '<DVC_METRIC_PLOT_HEIGHT>' }

/** A point that shows itself and its values below the pointer. */
const HOVER = {
  params: [{ name: 'hover', select: { type: 'point', nearest: true, on: 'mouseover', clear: 'mouseout' } }],
  mark: { type: 'point', filled: true },
  encoding: { y: FREE_Y, tooltip: TOOLTIP, opacity: { condition: { param: 'hover', empty: false, value: 1 }, value: 0 } },
}

/** What is chosen by hand stands at the top: a layer cannot hold it. */
const lines = (layers: readonly object[], bandwidth?: number): Template => ({
  ...SIZED,
  ...(bandwidth !== undefined && {
    params: [{ name: 'smooth', value: bandwidth, bind: { input: 'range', min: 0.001, max: 1, step: 0.001 } }],
  }),
  encoding: { x: X, color: COLOR, strokeDash: '<DVC_METRIC_STROKE_DASH>' },
  layer: layers,
})

const SMOOTHED = {
  transform: [
    { loess: '<DVC_METRIC_Y>', on: '<DVC_METRIC_X>', groupby: '<DVC_METRIC_GROUP_BY>', bandwidth: { signal: 'smooth' } },
  ],
  params: [ZOOM],
  mark: { type: 'line' },
  encoding: { y: FREE_Y },
}

const points = (mark: object): Template => ({
  ...SIZED,
  params: [ZOOM],
  mark: { type: 'point', filled: true, ...mark },
  encoding: { x: X, y: FREE_Y, color: COLOR, shape: '<DVC_METRIC_SHAPE>', tooltip: TOOLTIP },
})

/** Points of one place beside each other, by up to so many pixels. */
const BESIDE = { expr: '12 * random() - 6' }

/** How often each pair of values occurs, also those that never do. */
const COUNTED = [
  { aggregate: [{ op: 'count', as: 'pairs' }], groupby: ['<DVC_METRIC_Y>', '<DVC_METRIC_X>', 'rev'] },
  { impute: 'pairs', key: '<DVC_METRIC_X>', value: 0, groupby: '<DVC_METRIC_GROUP_BY_Y>' },
  { impute: 'pairs', key: '<DVC_METRIC_Y>', value: 0, groupby: '<DVC_METRIC_GROUP_BY_X>' },
]

const confusion = (transform: readonly object[], value: string, format: string, scale: object): Template => ({
  ...FRAME,
  facet: { column: { field: 'rev', sort: [] }, row: '<DVC_METRIC_ROW>' },
  spec: {
    width: '<DVC_METRIC_PLOT_WIDTH>',
    height: '<DVC_METRIC_PLOT_HEIGHT>',
    transform,
    encoding: {
      x: { field: '<DVC_METRIC_X>', type: 'nominal', title: '<DVC_METRIC_X_LABEL>', sort: 'ascending' },
      y: { field: '<DVC_METRIC_Y>', type: 'nominal', title: '<DVC_METRIC_Y_LABEL>', sort: 'ascending' },
    },
    layer: [
      { mark: { type: 'rect', tooltip: true }, encoding: { color: { field: value, type: 'quantitative', title: '', scale } } },
      {
        mark: { type: 'text' },
        encoding: {
          text: { field: value, type: 'quantitative', format },
          color: { value: 'black', condition: { test: `datum.${value} > datum.most / 2`, value: 'white' } },
        },
      },
    ],
  },
})

const most = (value: string): object => ({ joinaggregate: [{ op: 'max', field: value, as: 'most' }], groupby: ['rev'] })

const bars = (sort: object): Template => ({
  ...SIZED,
  params: [ZOOM],
  mark: { type: 'bar' },
  encoding: {
    x: { ...X, scale: { zero: false } },
    y: { ...Y, type: 'nominal', ...sort },
    yOffset: { field: 'rev', sort: [] },
    color: COLOR,
    column: '<DVC_METRIC_COLUMN>',
  },
})

/** The templates that need no file, in the order in which they are listed. */
export const TEMPLATES: ReadonlyMap<string, Template> = new Map<string, Template>([
  ['simple', lines([{ params: [ZOOM], mark: { type: 'line', tooltip: true }, encoding: { y: FREE_Y, tooltip: TOOLTIP } }])],
  ['linear', lines([SMOOTHED, { mark: { type: 'line', opacity: 0.2 }, encoding: { y: FREE_Y } }, HOVER], 0.001)],
  ['confusion', confusion([...COUNTED, most('pairs')], 'pairs', 'd', {})],
  [
    'confusion_normalized',
    confusion(
      [
        ...COUNTED,
        { joinaggregate: [{ op: 'sum', field: 'pairs', as: 'all' }], groupby: '<DVC_METRIC_GROUP_BY_Y>' },
        { calculate: 'datum.pairs / datum.all', as: 'share' },
        most('share'),
      ],
      'share',
      '.2f',
      { domain: [0, 1] },
    ),
  ],
  ['scatter', points({})],
  ['scatter_jitter', points({ xOffset: BESIDE, yOffset: BESIDE })],
  ['smooth', lines([SMOOTHED], 0.3)],
  ['bar_horizontal_sorted', bars({ sort: '-x' })],
  ['bar_horizontal', bars({})],
])
