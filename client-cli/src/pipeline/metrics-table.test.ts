import { expect, test } from 'vitest'
import { jsonText, parseJson } from './json-value.ts'
import { metricsJson, metricsTable, type MetricsOf, shownValues } from './metrics-table.ts'

const metrics = (rev: string, files: Record<string, string>): MetricsOf => ({
  rev,
  files: new Map(Object.entries(files).map(([file, text]) => [file, { data: shownValues(parseJson(text)) }])),
})

const both = metrics('', {
  'y.json': '{"acc": 1.0, "big": 12345678.123456}',
  'm.json': '{"z": 1, "acc": 0.923456789, "n": {"loss": 1, "l": [1, 2], "s": "txt", "nul": null, "b": true}, "nan": NaN}',
  's.json': '0.5',
})

test('the table has a row a file and a column a key, padded as dvc pads it', () => {
  expect(metricsTable([both], { revisions: false })).toBe(
    [
      'Path         acc      big             n.b    n.loss    n.s    nan    z',
      'y.json  -    1.0      12345678.12346  -      -         -      -      -',
      'm.json  -    0.92346  -               True   1         txt    nan    1',
      's.json  0.5  -        -               -      -         -      -      -',
    ].join('\n'),
  )
  expect(metricsTable([metrics('0.1,0.2', { m: '{"a": 1}' })], { revisions: true })).toBe(
    'Revision    Path    a\n0.1,0.2     m       1',
  )
  expect(metricsTable([metrics('', {})], { revisions: false })).toBe('')
})

test('JSON keeps texts, numbers and booleans, and drops lists and null', () => {
  expect(jsonText(metricsJson([both]))).toBe(
    '{"": {"data": {"y.json": {"data": {"acc": 1.0, "big": 12345678.123456}}, "m.json": {"data": {"z": 1, "acc": 0.923456789, "n": {"loss": 1, "s": "txt", "b": true}, "nan": NaN}}, "s.json": {"data": 0.5}}}}',
  )
  expect(jsonText(metricsJson([metrics('', {})]))).toBe('{"": {"data": {}}}')
})

test('numbers are rounded as Python rounds: exact halves to the even digit', () => {
  const cell = (value: string, precision: number) =>
    metricsTable([metrics('', { m: `{"a": ${value}}` })], { revisions: false, precision })
      .split(/\s+/)
      .at(-1)
  expect(cell('0.015625', 5)).toBe('0.01562')
  expect(cell('0.046875', 5)).toBe('0.04688')
  expect(cell('2.675', 2)).toBe('2.67')
  expect(cell('-0.999999', 5)).toBe('-1.0')
  expect(cell('0.000001', 5)).toBe('0.0')
  expect(cell('1e-7', 8)).toBe('1e-07')
  expect(cell('123456789012345678', 5)).toBe('123456789012345678')
})

test('a file that cannot be read has a row of dashes', () => {
  const files = new Map([...both.files, ['gone.json', { error: { type: 'FileNotFoundError', msg: 'x' } }] as const])
  expect(
    metricsTable([{ rev: '', files }], { revisions: false })
      .split('\n')
      .at(-1),
  ).toMatch(/^gone\.json +(- +)+-$/)
})
