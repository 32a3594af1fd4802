import { expect, test } from 'vitest'
import { jsonText, parseJson } from './json-value.ts'
import { plotPage } from './plot-page.ts'
import { seriesOf } from './plot-points.ts'
import { fillTemplate } from './vega-spec.ts'
import { fillAnchor, hasAnchor } from './vega-template.ts'
import { TEMPLATES } from './vega-templates.ts'

const content = (texts: Record<string, string>) => new Map(Object.entries(texts).map(([file, text]) => [file, parseJson(text)]))
const LOSS = '{"train": [{"n": 1, "loss": 0.5}, {"n": 2, "loss": 0.25}]}'

test('without axes the last field is drawn over its steps', () => {
  const series = seriesOf('l.json', content({ 'l.json': LOSS }), {}, 'HEAD')
  expect(series).toMatchObject({ x: 'step', y: 'loss', xLabel: 'step', yLabel: 'loss' })
  expect(jsonText(series?.points)).toBe(
    '[{"n": 1, "loss": 0.5, "step": 0, "rev": "HEAD", "filename": "l.json", "field": "loss"}, {"n": 2, "loss": 0.25, "step": 1, "rev": "HEAD", "filename": "l.json", "field": "loss"}]',
  )
})

test('fields of several files become lines over one x', () => {
  const series = seriesOf(
    'both',
    content({ 'd/a.json': LOSS, 'd/b.json': LOSS }),
    { x: 'n', y: { 'd/a.json': 'loss', 'd/b.json': 'n' } },
    'v1',
  )
  expect(series).toMatchObject({
    x: 'n',
    y: 'dvc_inferred_y_value',
    sources: [
      { filename: 'a.json', field: 'loss' },
      { filename: 'b.json', field: 'n' },
    ],
  })
  expect(series?.points.map((point) => point.get('dvc_inferred_y_value'))).toEqual([0.5, 0.25, 1, 2])
})

test('a field that is not there, and axes of different lengths, are said', () => {
  expect(() => seriesOf('l.json', content({ 'l.json': LOSS }), { y: 'acc' }, 'v1')).toThrow(
    "Could not find provided field ('acc') in data fields ('n, loss').",
  )
  const files = content({ 'a.json': LOSS, 'b.json': '[{"e": 1}]' })
  expect(() => seriesOf('p', files, { x: { 'b.json': 'e' }, y: { 'a.json': 'loss' } }, 'v1')).toThrow(/same length/)
  expect(seriesOf('l.json', content({ 'l.json': '[]' }), {}, 'v1')).toBeUndefined()
})

const plotOf = (y: Record<string, string>) => {
  const series = seriesOf('p', content({ 'a.json': LOSS, 'b.json': LOSS }), { x: 'n', y }, 'v1')
  if (!series) throw new Error('no points')
  return { ...series, title: 'P', revisions: ['v1'] }
}

test.each([...TEMPLATES.keys()])('%s leaves no anchor, with one line and with several', (name) => {
  for (const y of [{ 'a.json': 'loss' }, { 'a.json': 'loss', 'b.json': 'n' }]) {
    const { spec } = fillTemplate(TEMPLATES.get(name), plotOf(y), name)
    expect(jsonText(spec)).not.toContain('<DVC_METRIC')
    expect(jsonText(spec)).toContain('"values": [{"n": 1, "loss": 0.5,')
  }
})

test('names of fields that Vega reads as paths are escaped, and points keep what tells their line apart', () => {
  const { spec } = fillTemplate(
    { d: '<DVC_METRIC_DATA>', x: '<DVC_METRIC_X>', c: '<DVC_METRIC_COLOR>' },
    { ...plotOf({ 'a.json': 'loss' }), x: 'a.b[0]' },
    't',
  )
  expect(jsonText(spec)).toBe(
    '{"d": [{"n": 1, "loss": 0.5, "rev": "v1"}, {"n": 2, "loss": 0.25, "rev": "v1"}], "x": "a\\\\.b\\\\[0\\\\]", "c": {"field": "rev", "scale": {"domain": ["v1"], "range": ["#945dd6"]}}}',
  )
})

test('an anchor inside of a text is filled with text only', () => {
  const template = { title: 'Of <DVC_METRIC_TITLE>', list: ['<DVC_METRIC_TITLE>'] }
  expect(jsonText(fillAnchor(template, 'title', 'loss'))).toBe('{"title": "Of loss", "list": ["loss"]}')
  expect(jsonText(fillAnchor(template, 'title', 5))).toBe('{"title": "Of <DVC_METRIC_TITLE>", "list": [5]}')
  expect([hasAnchor(template, 'title'), hasAnchor({ title: 'Of <DVC_METRIC_TITLE>' }, 'title')]).toEqual([true, false])
  expect(() => fillTemplate({}, plotOf({ 'a.json': 'loss' }), 'empty')).toThrow(
    "Template 'empty' is not using '<DVC_METRIC_DATA>' anchor",
  )
})

test('nothing of a plot can end its script, and a page of one’s own keeps its words', () => {
  const page = plotPage([{ kind: 'vega', name: 'p', spec: { title: '</script><b>' } }])
  expect(page).toContain('{"title": "\\u003c/script>\\u003cb>"}')
  expect(plotPage([{ kind: 'image', name: 'a"b', images: [{ rev: '<r>', src: 's.png' }] }], 'My {plot_divs} {other}')).toBe(
    'My <div id="plot0" class="images"><p>a&quot;b</p><figure><figcaption>&lt;r&gt;</figcaption><img src="s.png" alt=""></figure></div> {other}',
  )
  expect(() => plotPage([], 'nothing')).toThrow('plot_divs')
})

test.each([...TEMPLATES])(
  '%s keeps what is chosen by hand out of its layers, where Vega-Lite does not find it',
  (_, template) => {
    const { layer = [] } = template as { layer?: Array<{ params?: unknown[] }> }
    const isBound = (param: unknown) => typeof param === 'object' && param !== null && 'bind' in param && !('select' in param)
    for (const { params = [] } of layer) expect(params.some(isBound)).toBe(false)
    const used = [...JSON.stringify(template).matchAll(/"signal":"(\w+)"/g)].map(([, name]) => name)
    const { params = [] } = template as { params?: Array<{ name?: string }> }
    expect(params.map(({ name }) => name)).toEqual(expect.arrayContaining(used))
  },
)

test('a field with a dot or brackets in its name is never taken for a path', () => {
  const series = seriesOf('d.json', content({ 'd.json': '[{"x.y": 1, "l[0]": 2}]' }), { x: 'x.y', y: 'l[0]' }, 'v1')
  if (!series) throw new Error('no series')
  for (const [name, template] of TEMPLATES) {
    const { spec } = fillTemplate(template, { ...series, title: 't', revisions: ['v1'] }, name)
    const { data: _, ...drawing } = Object.fromEntries(spec as Iterable<[string, unknown]>)
    expect(jsonText(drawing), name).not.toMatch(/"(field|loess|on|key)": "(x\.y|l\[0\])"|\["rev", "(x\.y|l\[0\])"\]/)
  }
})
