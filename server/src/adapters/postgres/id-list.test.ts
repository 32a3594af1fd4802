import fc from 'fast-check'
import { expect, test } from 'vitest'
import { distinctIds, holdsAny, packIds, unpackIds } from './id-list.ts'

const ids = fc.array(fc.oneof(fc.nat(300), fc.maxSafeNat()), { maxLength: 200 }).map((list) => [...distinctIds(list)])

test('a packed list of ids gives back the same ids', () => {
  fc.assert(
    fc.property(ids, (list) => {
      expect([...unpackIds(packIds(list))]).toEqual(list)
    }),
  )
})

test('neighbouring ids take one byte each', () => {
  const list = Array.from({ length: 10_000 }, (_, index) => 5_000_000 + index)
  expect(packIds(list).length).toBe(10_003)
})

test('holdsAny finds an id exactly when the list has it', () => {
  fc.assert(
    fc.property(ids, fc.array(fc.nat(300)), (list, wanted) => {
      expect(holdsAny(packIds(list), new Set(wanted))).toBe(list.some((id) => wanted.includes(id)))
    }),
  )
})

test('ids out of order are refused', () => {
  expect(() => packIds([2, 1])).toThrow('not ascending')
  expect(() => packIds([-1])).toThrow('not ascending')
})
