import { describe, expect, test } from 'vitest'
import { missingParams, readParams } from './params.ts'
import { Float } from './python-value.ts'

const read = (path: string, text: string, ...keys: string[]) => Object.fromEntries(readParams(text, { path, keys }))

describe('tracked params', () => {
  test('are found by dotted keys and list places, and keep the order they are tracked in', () => {
    const yaml = 'lr: 0.001\nnet:\n  layers:\n  - width: 8\n  - width: 16\nname: first\n'
    expect([...readParams(yaml, { path: 'params.yaml', keys: ['net.layers.1.width', 'lr', 'nosuch', 'lr.deeper'] })]).toEqual([
      ['net.layers.1.width', 16],
      ['lr', 0.001],
    ])
    expect(missingParams({ keys: ['lr', 'a', 'b'] }, readParams(yaml, { path: 'params.yaml', keys: ['lr', 'a', 'b'] }))).toEqual([
      'a',
      'b',
    ])
  })

  test('tell a float without a fraction from an int in every format', () => {
    const both = { f: new Float(1), i: 1 }
    expect(read('p.yaml', 'i: 1\nf: 1.0\n', 'f', 'i')).toEqual(both)
    expect(read('p.json', '{"i": 1, "f": 1.0}', 'f', 'i')).toEqual(both)
    expect(read('p.TOML', 'i = 1\nf = 1.0\n', 'f', 'i')).toEqual(both)
  })

  test('of a JSON file keep text that looks like numbers, long ints and exponents', () => {
    expect(read('p.json', '{"t": "1.0 and \\"2e5\\"", "n": 123456789012345678901234567890, "e": 1e-5}')).toEqual({
      e: 0.00001,
      n: 123456789012345678901234567890n,
      t: '1.0 and "2e5"',
    })
  })

  test('of a whole file are its top-level keys, sorted', () => {
    expect([...readParams('b: 1\na:\n  c: null\n', { path: 'params.yaml', keys: [] }).keys()]).toEqual(['a', 'b'])
  })

  test('may be null, which is not the same as missing', () => {
    expect(read('params.yaml', 'n:\n', 'n')).toEqual({ n: null })
  })

  test('of a Python file are its literals', () => {
    expect(read('p.py', 'lr = 0.1\nclass Net:\n    depth = 3\n', 'lr', 'Net.depth')).toEqual({ lr: 0.1, 'Net.depth': 3 })
    expect(() => read('p.py', 'lr = (1\n', 'lr')).toThrow("unable to read parameters from 'p.py'")
  })

  test('may be named by a pattern that finds one value', () => {
    expect(read('p.yaml', 'a:\n  bc: 1\n', 'a.b*', '?.bc', '[!b].bc', 'x*')).toEqual({ 'a.b*': 1, '?.bc': 1, '[!b].bc': 1 })
    expect(() => read('p.yaml', 'a:\n  b: 1\n  c: 2\n', 'a.*')).toThrow("'a.*' stands for 2 values of 'p.yaml'")
  })

  test('that are dates are read as they are written', () => {
    expect(read('p.yaml', 'd: 2020-01-01\n', 'd')).toEqual({ d: '2020-01-01' })
    expect(read('p.toml', 'd = 2020-01-01\n', 'd')).toEqual({ d: '2020-01-01' })
  })

  test('of an empty file are none', () => {
    expect(read('params.yaml', '', 'lr')).toEqual({})
  })

  test('in a broken file are an error that names it', () => {
    expect(() => read('sub/p.json', '{"a": ', 'a')).toThrow("unable to read parameters from 'sub/p.json'")
    expect(() => read('p.toml', 'a = = 1', 'a')).toThrow("unable to read parameters from 'p.toml'")
  })
})
