import { makeDigest } from '@cairn/protocol/digest'
import { expect, test } from 'vitest'
import { describeCloudStatus } from './cloud-status.ts'
import { describeLeft, summarize } from './outcome.ts'
import { describePlan, planTransfer } from './plan.ts'

const digest = (fill: string) => makeDigest(fill.repeat(32))

test('summaries read as those of dvc', () => {
  expect(summarize([[1, 'pushed']])).toBe('1 file pushed')
  expect(
    summarize([
      [5, 'fetched'],
      [0, 'modified'],
      [3, 'added'],
      [1, 'deleted'],
    ]),
  ).toBe('5 files fetched, 3 files added and 1 file deleted')
  expect(summarize([[0, 'pushed']])).toBeUndefined()
})

test('what is missing on both sides is named as dvc names it', () => {
  const left = [
    { digest: digest('a'), path: 'data/x', reason: 'missing', message: '' },
    { digest: makeDigest('b'.repeat(32), { tree: true, legacy: true }), path: 'data', reason: 'missing', message: '' },
    { digest: digest('c'), path: 'model', reason: 'damaged', message: 'its cached bytes no longer hash to it' },
  ] as const
  expect(describeLeft(left)).toEqual([
    'Some of the cache files do not exist neither locally nor on remote. Missing cache files:',
    `name: data/x, md5: ${'a'.repeat(32)}`,
    `name: data, md5: ${'b'.repeat(32)}.dir`,
    `'model' (${'c'.repeat(32)}): its cached bytes no longer hash to it`,
  ])
})

test('thousands of missing files are a short list', () => {
  const left = Array.from({ length: 5000 }, (_, index) => ({
    digest: digest('a'),
    path: `f${index}`,
    reason: 'missing' as const,
    message: '',
  }))
  const lines = describeLeft(left)
  expect(lines.length).toBeLessThan(30)
  expect(lines.at(-1)).toBe('… and 4980 more')
})

const differences = [
  { path: 'data', digest: digest('1'), state: 'new' },
  { path: 'data/x', digest: digest('2'), state: 'new' },
  { path: 'data/copy of x', digest: digest('2'), state: 'new' },
  { path: 'model', digest: digest('3'), state: 'deleted' },
  { path: 'gone', digest: digest('4'), state: 'missing' },
] as const

test('status -c has the columns of dvc', () => {
  expect(describeCloudStatus(differences.slice(2), 'origin')).toBe(
    '\tnew:                data/copy of x\n\tdeleted:            model\n\tmissing:            gone',
  )
  expect(describeCloudStatus([], 'origin')).toBe("Cache and remote 'origin' are in sync.")
})

test('a plan counts each object once, in its direction', () => {
  const push = planTransfer('push', differences, () => 100)
  expect(push).toMatchObject({ bytes: 200, objects: [{ path: 'data' }, { path: 'data/copy of x' }], missing: [{ path: 'gone' }] })
  expect(describePlan('push', push, 'origin')).toBe(
    "Would push 2 files (200 B) to 'origin':\n\tdata\n\tdata/copy of x\n1 missing on both sides:\n\tgone",
  )
  expect(
    describePlan(
      'fetch',
      planTransfer('fetch', differences, () => undefined),
      'origin',
    ),
  ).toContain("Would fetch 1 file from 'origin':\n\tmodel")
  expect(
    describePlan(
      'push',
      planTransfer('push', [], () => 0),
      'origin',
    ),
  ).toBe('Everything is up to date.')
})
