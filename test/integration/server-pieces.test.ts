import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { makeDigest } from '@cairn/protocol/digest'
import type { ObjectRow } from '../../server/src/domain/ports/catalog.ts'
import { nextTime } from '../../server/src/jobs/schedule.ts'
import { ROUTES } from '../../server/src/http/app.ts'
import { presentedToken } from '../../server/src/http/authenticate.ts'
import { createObjectMemory } from '../../server/src/http/object-memory.ts'
import { describeApi } from '../../server/src/http/openapi.ts'
import { parseRange } from '../../server/src/http/send-object.ts'

describe('a range', () => {
  test.each([
    ['bytes=0-9', { start: 0, end: 10 }],
    ['bytes=90-', { start: 90, end: 100 }],
    ['bytes=90-1000', { start: 90, end: 100 }],
    ['bytes=-10', { start: 90, end: 100 }],
    ['bytes=-1000', { start: 0, end: 100 }],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=5-2', undefined],
    ['bytes=-', undefined],
    ['bytes=0-1,5-6', undefined],
    ['lines=0-1', undefined],
  ])('%s of 100 bytes', (header, range) => {
    expect(parseRange(header, 100)).toEqual(range)
  })
})

test.each([
  ['Bearer t', 't'],
  ['bearer   t', 't'],
  ['t', 't'],
  [`Basic ${btoa('user:t')}`, 't'],
  [`Basic ${btoa(':a:b')}`, 'a:b'],
  [`Basic ${btoa('nothing')}`, undefined],
  ['Digest x', undefined],
  ['', undefined],
])('the token in %j is %j', (header, token) => {
  expect(presentedToken({ headers: { authorization: header } } as IncomingMessage)).toBe(token)
})

test('the memory for small objects forgets the one that was asked for longest ago', () => {
  const memory = createObjectMemory(4 * 1300)
  const row = (id: number) => ({ digest: makeDigest('0'.repeat(32)), blobId: id, offset: 0 }) as ObjectRow
  for (const id of [1, 2, 3, 4]) memory.keep(row(id), new Uint8Array(1000))
  expect(memory.find(row(1))).toBeDefined()
  memory.keep(row(5), new Uint8Array(1000))
  expect([1, 2, 3, 4, 5].map((id) => memory.find(row(id)) !== undefined)).toEqual([true, false, true, true, true])
  memory.keep(row(6), new Uint8Array(5000))
  expect(memory.find(row(6))).toBeUndefined()
})

test('every replica comes to the same next time of a rhythm', () => {
  const daily = { minutes: 24 * 60, offset: 3 * 60 }
  expect(nextTime(new Date('2026-03-01T02:59:59Z'), daily)).toEqual(new Date('2026-03-01T03:00:00Z'))
  expect(nextTime(new Date('2026-03-01T03:00:00Z'), daily)).toEqual(new Date('2026-03-02T03:00:00Z'))
  expect(nextTime(new Date('2026-03-01T00:10:00Z'), { minutes: 10, offset: 0 })).toEqual(new Date('2026-03-01T00:20:00Z'))
})

test('the document describes every route with its parameters, bodies and errors', () => {
  const api = describeApi(ROUTES, '1.2.3') as { paths: Record<string, Record<string, Record<string, unknown>>> }
  for (const one of ROUTES) expect(api.paths[one.path.replace(/:(\w+)/g, '{$1}')]?.[one.method]).toBeDefined()
  const trees = api.paths['/api/v1/projects/{project}/trees']?.['post']
  expect(trees?.['parameters']).toEqual([
    { name: 'project', in: 'path', required: true, schema: { type: 'string' } },
    { name: 'digest', in: 'query', required: true, schema: { type: 'string' } },
    { name: 'base', in: 'query', required: false, schema: { type: 'string' } },
    expect.objectContaining({ name: 'session', in: 'query', required: false }),
  ])
  expect(Object.keys((trees?.['responses'] as object) ?? {}).toSorted()).toEqual([
    '200',
    '400',
    '401',
    '403',
    '404',
    '408',
    '409',
    '413',
    '422',
    '503',
  ])
})
