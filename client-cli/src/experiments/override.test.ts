import { describe, expect, test } from 'vitest'
import { Float } from '../pipeline/python-value.ts'
import { overrideText, parseOverride, sweep } from './override.ts'
import { setParams } from './set-params.ts'

const valuesOf = (text: string) => parseOverride(text).choices.map(({ value }) => value)
const set = (text: string | undefined, file: string, ...overrides: string[]) =>
  setParams(text, file, overrides.map(parseOverride))

describe('an override', () => {
  test('names a key of params.yaml, or of the file before the colon', () => {
    expect(parseOverride('lr=0.1')).toMatchObject({ file: 'params.yaml', action: 'set', key: 'lr' })
    expect(parseOverride('sub/p.json:a.b=2')).toMatchObject({ file: 'sub/p.json', action: 'set', key: 'a.b' })
    expect(parseOverride('p.toml:+new=x:y').choices[0]?.value).toBe('x:y')
    expect(parseOverride('~old')).toMatchObject({ action: 'delete', key: 'old', choices: [] })
  })

  test.each([
    ['a=1', [1]],
    ['a=-1.5', [-1.5]],
    ['a=1.0', [new Float(1)]],
    ['a=1e-3', [0.001]],
    ['a=true', [true]],
    ['a=null', [null]],
    ['a=hello world', ['hello world']],
    ['a="1,2"', ['1,2']],
    ['a=[1,b,"c d"]', [[1, 'b', 'c d']]],
    [
      'a={x:1,y:[2]}',
      [
        new Map<string, unknown>([
          ['x', 1],
          ['y', [2]],
        ]),
      ],
    ],
    ['a=1,2,x', [1, 2, 'x']],
    ['a=choice(1,2)', [1, 2]],
    ['a=range(1,4)', [1, 2, 3]],
    ['a=range(0,1,0.5)', [new Float(0), 0.5]],
  ])('%s gives its values', (text, values) => expect(valuesOf(text)).toEqual(values))

  test.each(['lr', '=1', 'a=[1', 'a="x', 'a={x}', 'a=glob(*)', 'a=range(x)', 'a=range(1,1)', 'a=[1]x'])('%s is refused', (text) =>
    expect(() => parseOverride(text)).toThrow(/Invalid `--set-param` value/),
  )

  test('sweeps give every combination, the last changing fastest', () => {
    const runs = sweep(['lr=1,2', 'p.json:n=range(1,3)'].map(parseOverride))
    expect(runs.map((run) => [...run].map(([file, each]) => `${file} ${each.map(overrideText).join()}`))).toEqual([
      ['params.yaml lr=1', 'p.json n=1'],
      ['params.yaml lr=1', 'p.json n=2'],
      ['params.yaml lr=2', 'p.json n=1'],
      ['params.yaml lr=2', 'p.json n=2'],
    ])
  })
})

describe('setting params', () => {
  test('keeps comments and order of YAML', () =>
    expect(set('# top\nlr: 0.5 # rate\nm:\n  a: 1\n', 'params.yaml', 'lr=0.7', 'm.a=2', '+m.b=x')).toBe(
      '# top\nlr: 0.7 # rate\nm:\n  a: 2\n  b: x\n',
    ))
  test('keeps the indentation of JSON', () => {
    expect(set('{"a": 1, "b": [1, 2]}', 'p.json', 'b.1=5')).toBe('{"a": 1, "b": [1, 5]}')
    expect(set('{\n  "a": {\n    "b": 1.0\n  }\n}\n', 'p.json', 'a.b=2.0')).toBe('{\n  "a": {\n    "b": 2.0\n  }\n}\n')
  })
  test('keeps comments of TOML, and writes it anew only for what has no line of its own', () => {
    expect(set('# top\nlr = 0.5 # rate\n[m]\na = "x"\n', 'p.toml', 'lr=1.0', 'm.a=y')).toBe(
      '# top\nlr = 1.0 # rate\n[m]\na = "y"\n',
    )
    expect(set('lr = 0.5\n', 'p.toml', '+n=3')).toBe('lr = 0.5\nn = 3\n')
  })
  test('deletes, puts and merges', () => {
    expect(set('a: 1\nb: 2\n', 'params.yaml', '~a')).toBe('b: 2\n')
    expect(set('a: 1\n', 'params.yaml', '++c=3')).toBe('a: 1\nc: 3\n')
    expect(set('a:\n  x: 1\n  y: 2\n', 'params.yaml', 'a={y:3}')).toBe('a:\n  x: 1\n  y: 3\n')
  })
  test.each([
    ['nokey=1', /Could not override 'nokey'/],
    ['+a=1', /already at 'a'/],
    ['~nokey', /does not exist/],
    ['~a=7', /is not 7/],
  ])('%s is refused where it does not fit', (text, words) => expect(() => set('a: 1\n', 'params.yaml', text)).toThrow(words))
  test('Python files are left alone', () => expect(() => set('a = 1\n', 'params.py', 'a=2')).toThrow(/Python files/))
})
