import { expect, test } from 'vitest'
import { jsonText, parseJson, pythonRepr } from './json-value.ts'
import { metricValues } from './metric-value.ts'
import { float, Float } from './python-value.ts'
import type { MetricSpec } from './stage.ts'

const shown = (text: string, spec: MetricSpec): string => {
  const values = metricValues(text, spec, 'm')
  return typeof values === 'string' ? values : pythonRepr(values)
}

test('an untyped or raw metric, and one without an xpath, is its text', () => {
  expect(shown('0.5\n', {})).toBe('0.5')
  expect(shown('{"acc": 0.9}\n', { type: 'raw', xpath: 'acc' })).toBe('{"acc": 0.9}')
  expect(shown('{"acc": 0.9}\n', { type: 'json' })).toBe('{"acc": 0.9}')
})

test.each([
  ['acc', '[0.509]'],
  ['$.acc', '[0.509]'],
  ['$', `[{'acc': 0.509, 'a': {'b': [{'c': 1}, {'c': 2.0}]}, 'x y': 'it', 'on': True, 'no': None}]`],
  ['a.b[0]', `[{'c': 1}]`],
  ['a.b[-1].c', '[2.0]'],
  ['a.b[*].c', '[1, 2.0]'],
  ['$..c', '[1, 2.0]'],
  [`$['x y']`, `['it']`],
  ['on', '[True]'],
  ['no', '[None]'],
  ['nope', '[]'],
  ['acc.deeper', '[]'],
  ['a[0]', '[]'],
])('json %s', (xpath, expected) => {
  const text = '{"acc": 0.509, "a": {"b": [{"c": 1}, {"c": 2.0}]}, "x y": "it", "on": true, "no": null}'
  expect(shown(text, { type: 'json', xpath })).toBe(expected)
})

test.each([
  ['csv', '0,1', `['0.2']`, 'a,0.2\nb,"0,3"\n'],
  ['csv', '1,1', `['0,3']`, 'a,0.2\nb,"0,3"\n'],
  ['csv', ',1', `['0.2', '0,3']`, 'a,0.2\r\nb,"0,3"\r\n'],
  ['csv', '0', `['a', '0.2']`, 'a,0.2\nb,"0,3"\n'],
  ['csv', '9,0', '[]', 'a,0.2\n'],
  ['tsv', '0,1', `['x "y"']`, 'a\t"x ""y"""\n'],
  ['hcsv', '0,loss', `['1']`, 'acc,loss\n0.5,1\n0.6,2\n'],
  ['hcsv', ',acc', `['0.5', '0.6']`, 'acc,loss\n0.5,1\n0.6,2\n'],
  ['hcsv', '1', `[{'acc': '0.6', 'loss': '2'}]`, 'acc,loss\n0.5,1\n0.6,2\n'],
  ['hcsv', '0,nope', '[]', 'acc,loss\n0.5,1\n'],
  ['htsv', '0,loss', `['1']`, 'acc\tloss\n0.5\t1\n'],
] as const)('%s %s', (type, xpath, expected, text) => {
  expect(shown(text, { type, xpath })).toBe(expected)
})

test('a file of another kind and a malformed xpath are told in one line', () => {
  expect(() => shown('acc: 1', { type: 'json', xpath: 'acc' })).toThrow(
    `unable to read 'm' as json: not valid JSON, line 1, column 1`,
  )
  expect(() => shown('{}', { type: 'json', xpath: 'a[' })).toThrow(`the xpath 'a[' is malformed at '['`)
  expect(() => shown('a,b', { type: 'csv', xpath: 'x,y' })).toThrow('expected row,column')
})

test('JSON is read and written as Python does it', () => {
  const text =
    '{"a": 1.0, "1": NaN, "b": [Infinity, -Infinity, -0.0, 1e-07, 12345678901234567890], "c": "\\u00e9\\ud83d\\ude00", "d": {}, "e": []}'
  const value = parseJson(text)
  expect(value instanceof Map && value.get('a')).toEqual(new Float(1))
  expect(jsonText(value)).toBe(text)
  expect(jsonText(parseJson(' [ 1 , 2 ]\n'))).toBe('[1, 2]')
  expect(jsonText(float(3))).toBe('3.0')
  for (const bad of ['', '{', '[1,]', '{"a" 1}', '[1] 2', '01', "{'a': 1}", '"\n"', '['.repeat(100_000)])
    expect(() => parseJson(bad)).toThrow(SyntaxError)
})
