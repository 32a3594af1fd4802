import { digestFrom } from '@cairn/protocol/digest'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createDigestList } from './digest-list.ts'

// Few different beginnings, so that many meet in one place.
const md5 = fc.tuple(fc.constantFrom('00', '01', 'ff'), fc.nat(40)).map(([start, number]) => {
  return start.repeat(4) + number.toString(16).padStart(24, '0')
})
const digests = fc.array(fc.tuple(md5, fc.integer({ min: 0, max: 3 })).map(([hex, kind]) => digestFrom(hex, kind)))

test('a list of digests is what a Set would be, in the same order', () => {
  fc.assert(
    fc.property(digests, digests, (added, asked) => {
      const list = createDigestList()
      const set = new Set<string>()
      for (const digest of added) {
        expect(list.add(digest)).toBe(!set.has(digest))
        set.add(digest)
      }
      expect(list.size).toBe(set.size)
      expect([...list]).toEqual([...set])
      for (const digest of asked) expect(list.has(digest)).toBe(set.has(digest))
    }),
  )
})

test('it grows', () => {
  const many = Array.from({ length: 5000 }, (_, index) => digestFrom(index.toString(16).padStart(32, '0'), 0))
  const list = createDigestList([...many, ...many])
  expect([...list]).toEqual(many)
  expect(many.every((digest) => list.has(digest))).toBe(true)
})
