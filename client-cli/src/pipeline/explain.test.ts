import { describe, expect, test } from 'vitest'
import { compareListings } from './explain.ts'
import { updateLockFile } from './lock-file.ts'
import { digestOf, makeStage } from './stage-for-tests.ts'

describe('the files of a folder that changed', () => {
  const one = digestOf('1')
  const two = digestOf('2')

  test('are told apart by what became of them', () => {
    const before = new Map([
      ['same', one],
      ['gone', one],
      ['other', one],
    ])
    const now = new Map([
      ['new', one],
      ['other', two],
      ['same', one],
    ])
    expect(compareListings(before, now)).toEqual({ added: ['new'], modified: ['other'], deleted: ['gone'], total: 3 })
  })

  test('are named up to the tenth, and all counted', () => {
    const many = new Map(Array.from({ length: 1000 }, (_, number) => [`f${String(number).padStart(4, '0')}`, one] as const))
    const changes = compareListings(many, new Map())
    expect(changes.total).toBe(1000)
    expect(changes.deleted).toHaveLength(10)
    expect(changes.deleted.at(-1)).toBe('f0009')
  })
})

test('a stage that ends late stands in dvc.lock before those that come after it in the plan', () => {
  const stage = (name: string) => makeStage(name, { file: 'dvc.yaml', name, kind: 'pipeline', lockedCmd: `make ${name}` })
  const order = (text: string) => text.match(/^ {2}\S+:$/gm)
  const first = updateLockFile(updateLockFile(undefined, stage('old')), stage('b'))
  expect(order(updateLockFile(first, stage('a'), new Set(['b', 'c'])))).toEqual(['  old:', '  a:', '  b:'])
  expect(order(updateLockFile(first, stage('d'), new Set()))).toEqual(['  old:', '  b:', '  d:'])
})
