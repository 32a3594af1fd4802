import { expect, test } from 'vitest'
import { jsonText, parseJson } from './json-value.ts'
import { select } from './params-values.ts'
import { diffTable, diffValues } from './value-diff.ts'

const files = (texts: Record<string, string>) =>
  new Map(Object.entries(texts).map(([file, text]) => [file, { data: parseJson(text) }]))
const diff = (old: Record<string, string>, next: Record<string, string>, all = false) =>
  jsonText(diffValues(files(old), files(next), all))

test('numbers differ by what they differ, ints and floats apart', () => {
  expect(
    diff({ m: '{"a": 1, "f": 0.5, "big": 12345678901234567890}' }, { m: '{"a": 3, "f": 1, "big": 12345678901234567891}' }),
  ).toBe(
    '{"m": {"a": {"old": 1, "new": 3, "diff": 2}, "f": {"old": 0.5, "new": 1, "diff": 0.5}, "big": {"old": 12345678901234567890, "new": 12345678901234567891, "diff": 1}}}',
  )
  expect(diff({ m: '{"a": 1}' }, { m: '{"a": 1.0}' })).toBe('{}')
  expect(diff({ m: '{"a": 1}' }, { m: '{"a": 1.0}' }, true)).toBe('{"m": {"a": {"old": 1, "new": 1.0, "diff": 0.0}}}')
})

test('NaN is never the same; lists are compared as text; nested keys are joined', () => {
  expect(diff({ m: '{"n": NaN, "l": [1, 2], "d": {"x": "a"}}' }, { m: '{"n": NaN, "l": [1, 3], "d": {"x": "b"}}' })).toBe(
    '{"m": {"n": {"old": NaN, "new": NaN, "diff": NaN}, "l": {"old": "[1, 2]", "new": "[1, 3]"}, "d.x": {"old": "a", "new": "b"}}}',
  )
})

test('a file that one side lacks has null there; a bare value has no name', () => {
  expect(diff({}, { m: '{"a": "x"}' })).toBe('{"m": {"a": {"old": null, "new": "x"}}}')
  expect(diff({ m: '{"a": "x"}' }, {})).toBe('{"m": {"a": {"old": "x", "new": null}}}')
  expect(diff({ m: '0.5' }, { m: '0.75' })).toBe('{"m": {"": {"old": 0.5, "new": 0.75, "diff": 0.25}}}')
  expect(diff({ m: '0.5' }, { m: '{"a": 1}' })).toBe('{"m": {"a": {"old": "unable to parse", "new": 1}}}')
})

test('what could not be read counts as not there', () => {
  const broken = new Map([['m', { error: { type: 'JSONFileCorruptedError', msg: 'x' } }]])
  expect(jsonText(diffValues(broken, files({ m: '{"a": 1}' })))).toBe('{"m": {"a": {"old": null, "new": 1}}}')
})

test('the table sorts the keys of a file, and leaves columns out on demand', () => {
  const changes = diffValues(files({ m: '{"b": 0.1234567, "a": true}' }), files({ m: '{"b": 1, "a": null}' }))
  const options = {
    title: 'Metric',
    old: 'v1',
    new: 'workspace',
    noPath: false,
    changes: true,
    precision: 5,
    format: 'plain',
  } as const
  expect(diffTable(changes, options)).toBe(
    [
      'Path    Metric    v1       workspace    Change',
      'm       a         True     -            -',
      'm       b         0.12346  1            0.87654',
    ].join('\n'),
  )
  expect(diffTable(changes, { ...options, noPath: true, changes: false, format: 'csv' })).toBe(
    'Metric,v1,workspace\r\na,True,-\r\nb,0.12346,1\r\n',
  )
  expect(diffTable(new Map(), options)).toBe('')
  expect(diffTable(new Map(), { ...options, format: 'markdown' })).toBe(
    '| Path   | Metric   | v1   | workspace   | Change   |\n|--------|----------|------|-------------|----------|\n\n',
  )
})

test('keys of params reach into mappings and lists, and may have wildcards', () => {
  const value = parseJson('{"a": {"b": 1, "c": 2}, "l": [5, 6], "lr": 1}')
  expect(jsonText(select(value, ['a.b', 'lr']))).toBe('{"a": {"b": 1}, "lr": 1}')
  expect(jsonText(select(value, ['l.1', 'a.*']))).toBe('{"a": {"b": 1, "c": 2}, "l": [null, 6]}')
  expect(jsonText(select(value, ['nosuch', 'a.b.c']))).toBe('{}')
  expect(jsonText(select(value, ['l[', '[l-m][!a]']))).toBe('{"lr": 1}')
})
