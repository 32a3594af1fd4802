import { parseDigest } from '@cairn/protocol/digest'
import { describe, expect, test } from 'vitest'
import { parseLockFile, removeFromLockFile, updateLockFile } from './lock-file.ts'
import { parsePipelineFile } from './pipeline-file.ts'
import { float } from './python-value.ts'
import { makeStage } from './stage-for-tests.ts'
import type { Stage } from './stage.ts'

const LOCK = `schema: '2.0'
stages:
  prep:
    cmd:
    - echo a
    - echo b
    deps:
    - path: in.txt
      hash: md5
      md5: b026324c6904b2a9cb4b88d6d61c81d1
      size: 2
    - path: src
      hash: md5
      md5: a44ce8d5f4ca75873e89ae1fddea9760.dir
      size: 2
      nfiles: 1
    params:
      params.yaml:
        nested:
          lr: 0.001
          n:
        p: 1.0
      p2.json:
        a.b: 3
    outs:
    - path: ev.bin
      hash: md5
      md5: b026324c6904b2a9cb4b88d6d61c81d1
      size: 2
      isexec: true
`

const YAML = `stages:
  prep:
    cmd:
    - echo a
    - echo b
    deps:
    - src
    - in.txt
    params:
    - p
    - nested
    - p2.json:
      - a.b
    outs:
    - ev.bin
`

const prep = (lock: string | undefined = LOCK): Stage => {
  const [stage] = parsePipelineFile(YAML, 'dvc.yaml', lock === undefined ? undefined : parseLockFile(lock))
  if (!stage) throw new Error('no stage')
  return stage
}

test('an entry is written with the bytes dvc writes', () => {
  expect(updateLockFile(undefined, prep())).toBe(LOCK)
  expect(updateLockFile('', prep())).toBe(LOCK)
})

test('what was read is what the stage knows', () => {
  const stage = prep()
  expect(stage.lockedCmd).toEqual(['echo a', 'echo b'])
  expect(stage.params).toEqual([
    { path: 'params.yaml', def: 'params.yaml', keys: ['nested', 'p'], recorded: { nested: { lr: 0.001, n: null }, p: float(1) } },
    { path: 'p2.json', def: 'p2.json', keys: ['a.b'], recorded: { 'a.b': 3 } },
  ])
  expect(stage.outs[0]?.recorded).toEqual({ digest: 'b026324c6904b2a9cb4b88d6d61c81d1', size: 2, isexec: true })
})

describe('replacing an entry', () => {
  const others = `schema: '2.0'
stages:
  # before
  first:
    cmd: a
    outs:
    - {path: x, hash: md5, md5: b026324c6904b2a9cb4b88d6d61c81d1} # by hand
  prep:
    cmd: old
  # about last
  last:
    cmd: z
`

  test('touches no byte of the others', () => {
    const updated = updateLockFile(others, prep())
    expect(updated).toBe(others.replace('  prep:\n    cmd: old\n', LOCK.slice(LOCK.indexOf('  prep:'))))
    expect(updateLockFile(updated, prep())).toBe(updated)
  })

  test('a new entry goes to the end of the stages, before what follows them', () => {
    const text = `${others.replace('  prep:\n    cmd: old\n', '')}datasets: []\n`
    const updated = updateLockFile(text, prep())
    expect(updated.indexOf('  prep:')).toBeGreaterThan(updated.indexOf('  last:'))
    expect(updated.endsWith('datasets: []\n')).toBe(true)
    expect(parseLockFile(updated).stages.size).toBe(3)
  })

  test('names that need quotes are found', () => {
    const stage = { ...prep(), name: '1: x' }
    const once = updateLockFile(LOCK, stage)
    expect(once).toContain(`\n  '1: x':\n`)
    expect(updateLockFile(once, stage)).toBe(once)
    expect(removeFromLockFile(once, '1: x')).toBe(LOCK)
  })

  test('an entry whose name begins with a dash is not taken for a part of the one before', () => {
    const text = `${LOCK}  -x:\n    cmd: a\n`
    expect(updateLockFile(text, { ...prep(), lockedCmd: 'new' })).toMatch(/cmd: new[^]*\n {2}-x:\n {4}cmd: a\n$/)
  })

  test('removing the last one leaves no file', () => {
    expect(removeFromLockFile(LOCK, 'prep')).toBeUndefined()
    expect(removeFromLockFile(LOCK, 'other')).toBe(LOCK)
  })

  test('a lock file in another style is written anew, with everything in it', () => {
    const flow = `{schema: '2.0', stages: {first: {cmd: a}}}\n`
    expect(updateLockFile(flow, prep())).toBe(
      `schema: '2.0'\nstages:\n  first:\n    cmd: a\n${LOCK.slice(LOCK.indexOf('  prep:'))}`,
    )
  })
})

test('a lock file of 1.x is read, with legacy digests, and becomes one of today', () => {
  const old = 'first:\n  cmd: a\n  outs:\n  - path: x\n    md5: b026324c6904b2a9cb4b88d6d61c81d1\n    size: 2\n'
  expect(parseLockFile(old).stages.get('first')?.outs[0]?.recorded?.digest).toBe(
    parseDigest('legacy-b026324c6904b2a9cb4b88d6d61c81d1'),
  )
  expect(updateLockFile(old, prep())).toBe(
    `schema: '2.0'\nstages:\n  first:\n    cmd: a\n    outs:\n    - path: x\n      md5: b026324c6904b2a9cb4b88d6d61c81d1\n      size: 2\n${LOCK.slice(LOCK.indexOf('  prep:'))}`,
  )
})

test('a lock file that is none is refused in one line', () => {
  expect(() => parseLockFile('schema: 3\nstages: {}\n')).toThrow(
    /'\.\/dvc\.lock' validation failed: expected str, in schema, line 1/,
  )
  expect(() => parseLockFile(`schema: '2.0'\nstages:\n  a:\n    foo: 1\n`)).toThrow(
    /extra keys not allowed, in stages -> a -> foo|extra keys not allowed, in a/,
  )
  expect(() => parseLockFile(`schema: '2.0'\nstages:\n  a:\n    outs:\n    - md5: x\n`)).toThrow(
    /required key 'path' not provided/,
  )
})

test('a stage whose name is longer than a key may be has one entry, replaced in its place', () => {
  const named = (last: number) => `x@${'long '.repeat(40)}-${last}`
  const stageOf = (last: number, cmd: string) =>
    makeStage('dvc.yaml', { kind: 'pipeline', name: named(last), cmd, lockedCmd: cmd })
  const two = updateLockFile(updateLockFile(undefined, stageOf(1, 'a')), stageOf(2, 'b'))
  expect(two).toContain('\n  ? x@long long ')
  expect(two).toContain('-2\n  : cmd: b\n')
  const changed = updateLockFile(two, stageOf(1, 'c'))
  expect(changed).toBe(two.replace('cmd: a', 'cmd: c'))
  expect([...parseLockFile(changed).stages.keys()]).toEqual([named(1), named(2)])
  expect(removeFromLockFile(changed, named(1))).toBe(updateLockFile(undefined, stageOf(2, 'b')))
})
