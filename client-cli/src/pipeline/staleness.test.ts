import { describe, expect, test } from 'vitest'
import { Float } from './python-value.ts'
import type { Stage } from './stage.ts'
import { digestOf, makeStage } from './stage-for-tests.ts'
import { changesOf, decide, sameValue, type Seen } from './staleness.ts'

const one = digestOf('1')
const two = digestOf('2')

const train = makeStage('train.dvc', {
  deps: ['data', 'train.py'],
  outs: ['model', { path: 'log.csv', cache: false }],
  digest: one,
})
const unchanged: Seen = {
  deps: new Map([
    ['data', one],
    ['train.py', one],
  ]),
  params: new Map(),
  outs: new Map([
    ['model', { digest: one, cached: true }],
    ['log.csv', { digest: one, cached: false }],
  ]),
}
const verdictOf = (stage: Stage, seen: Seen) => decide(stage, changesOf(stage, seen), seen)
const seeing = (part: Partial<Seen>): Seen => ({ ...unchanged, ...part })
const outs = (...rows: Array<[string, Seen['outs'] extends ReadonlyMap<string, infer T> ? T : never]>) =>
  seeing({ outs: new Map([...unchanged.outs, ...rows]) })
const deps = (...rows: Array<[string, typeof one | undefined]>) => seeing({ deps: new Map([...unchanged.deps, ...rows]) })

describe('a stage', () => {
  test('is fresh when everything is as recorded', () => {
    expect(changesOf(train, unchanged)).toEqual([])
    expect(verdictOf(train, unchanged)).toBe('fresh')
  })

  test('runs when a dep is modified or gone', () => {
    expect(changesOf(train, deps(['data', two]))).toEqual([{ kind: 'dep', path: 'data', state: 'modified' }])
    expect(changesOf(train, deps(['data', undefined]))).toEqual([{ kind: 'dep', path: 'data', state: 'deleted' }])
    expect(verdictOf(train, deps(['data', two]))).toBe('run')
  })

  test('takes a dep that was never recorded for modified', () => {
    const fresh = { ...train, deps: train.deps.map(({ path, def }) => ({ path, def })) }
    expect(changesOf(fresh, unchanged)).toHaveLength(2)
  })

  test('tells a legacy digest from the same md5 of today', () => {
    const legacy = digestOf('1', { legacy: true })
    expect(changesOf(train, deps(['data', legacy]))).toHaveLength(1)
  })

  test('is checked out when only outs are gone that the cache has', () => {
    expect(verdictOf(train, outs(['model', { digest: undefined, cached: true }]))).toBe('checkout')
  })

  test('runs when an out is gone that no cache holds', () => {
    expect(verdictOf(train, outs(['log.csv', { digest: undefined, cached: false }]))).toBe('run')
    expect(
      verdictOf(train, outs(['model', { digest: undefined, cached: true }], ['log.csv', { digest: two, cached: false }])),
    ).toBe('run')
  })

  test('counts an out as not in the cache before anything else', () => {
    const seen = outs(['model', { digest: undefined, cached: false }])
    expect(changesOf(train, seen)).toEqual([{ kind: 'out', path: 'model', state: 'not in cache' }])
    expect(verdictOf(train, seen)).toBe('run')
  })

  test('runs when its outs changed under the same deps', () => {
    expect(verdictOf(train, outs(['model', { digest: two, cached: true }]))).toBe('run')
  })

  test('runs when its command differs from the locked one', () => {
    const stage = makeStage('train', {
      kind: 'pipeline',
      cmd: 'make b',
      lockedCmd: 'make a',
      deps: ['data'],
      outs: ['model'],
      digest: one,
    })
    expect(changesOf(stage, unchanged)).toEqual([{ kind: 'command' }])
    expect(changesOf({ ...stage, cmd: ['a', 'b'], lockedCmd: ['a', 'b'] }, unchanged)).toEqual([])
  })

  test('runs every time when it says so, or when it reads and makes nothing', () => {
    expect(verdictOf({ ...train, alwaysChanged: true }, unchanged)).toBe('run')
    expect(verdictOf(makeStage('notify'), unchanged)).toBe('run')
    expect(verdictOf(makeStage('download', { outs: ['model'], digest: one }), unchanged)).toBe('fresh')
  })

  test('runs when its file was edited by hand', () => {
    expect(verdictOf(train, seeing({ editedByHand: true }))).toBe('run')
  })
})

describe('a frozen stage', () => {
  const frozen = { ...train, frozen: true, alwaysChanged: true }

  test('does not look at its deps', () => {
    expect(verdictOf(frozen, deps(['data', two]))).toBe('fresh')
  })

  test('takes changed outs as they are, without a run', () => {
    expect(verdictOf(frozen, outs(['model', { digest: two, cached: true }]))).toBe('commit')
  })
})

describe('data without a command', () => {
  const data = makeStage('data.dvc', { kind: 'data', outs: ['data'], digest: one })
  const at = (digest: typeof one | undefined, cached: boolean): Seen => ({
    deps: new Map(),
    params: new Map(),
    outs: new Map([['data', { digest, cached }]]),
  })

  test('is committed when it changed and checked out when it is gone', () => {
    const { cmd: _, ...stage } = data
    expect(verdictOf(stage, at(one, true))).toBe('fresh')
    expect(verdictOf(stage, at(two, true))).toBe('commit')
    expect(verdictOf(stage, at(one, false))).toBe('commit')
    expect(verdictOf(stage, at(undefined, true))).toBe('checkout')
    expect(verdictOf(stage, at(undefined, false))).toBe('commit')
  })
})

describe('params', () => {
  const stage = makeStage('train', {
    kind: 'pipeline',
    lockedCmd: 'make train',
    params: [{ path: 'params.yaml', def: 'params.yaml', keys: ['lr', 'net'], recorded: { lr: 1, net: { width: 2 } } }],
    outs: ['model'],
    digest: one,
  })
  const at = (values: Record<string, unknown> | undefined) =>
    changesOf(stage, seeing({ params: new Map([['params.yaml', values && new Map(Object.entries(values))]]) }))

  test('are compared by value, an int with a float too', () => {
    expect(at({ lr: new Float(1), net: new Map([['width', 2]]) })).toEqual([])
    expect(at({ lr: 2, net: { width: 2 } })).toEqual([{ kind: 'param', path: 'params.yaml', key: 'lr', state: 'modified' }])
  })

  test('are told apart when new, gone, or their whole file is gone', () => {
    expect(at({ lr: 1 })).toEqual([{ kind: 'param', path: 'params.yaml', key: 'net', state: 'deleted' }])
    expect(at(undefined)).toEqual([{ kind: 'dep', path: 'params.yaml', state: 'deleted' }])
    const whole = { ...stage, params: [{ path: 'params.yaml', def: 'params.yaml', keys: [], recorded: { lr: 1 } }] }
    const seen = seeing({
      params: new Map([
        [
          'params.yaml',
          new Map<string, unknown>([
            ['lr', 1],
            ['depth', 3],
          ]),
        ],
      ]),
    })
    expect(changesOf(whole, seen)).toEqual([{ kind: 'param', path: 'params.yaml', key: 'depth', state: 'new' }])
  })

  test('tell true from 1, text from numbers, and long lists from short ones', () => {
    expect(sameValue(true, 1)).toBe(false)
    expect(sameValue('1', 1)).toBe(false)
    expect(sameValue([1, 2], [1])).toBe(false)
    expect(sameValue(null, {})).toBe(false)
    expect(sameValue(10n ** 30n, 10n ** 30n + 1n)).toBe(false)
    expect(sameValue(0, new Float(-0))).toBe(true)
  })
})
