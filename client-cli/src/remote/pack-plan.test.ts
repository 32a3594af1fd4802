import { makeDigest } from '@cairn/protocol/digest'
import { packBytes } from '@cairn/protocol/pack'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planPush } from './pack-plan.ts'

const LIMITS = { packBytes: 32 * 1024 * 1024, packMembers: 65_536 }
const objectsOf = (sizes: readonly number[]) =>
  sizes.map((size, index) => ({ digest: makeDigest(index.toString(16).padStart(32, '0')), path: `/cache/${index}`, size }))

const sizes = fc.array(fc.oneof(fc.nat(4096), fc.nat(3 * 1024 * 1024)), { maxLength: 200 })

test('every object travels once, small ones in their order and in packs that the server takes', () => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 50 }), (list, jobs, packMembers) => {
      const objects = objectsOf(list)
      const { packs, singles } = planPush(objects, { packBytes: LIMITS.packBytes, packMembers }, jobs)
      expect(packs.flat()).toEqual(objects.filter((object) => object.size < 1024 * 1024))
      expect(new Set(singles)).toEqual(new Set(objects.filter((object) => object.size >= 1024 * 1024)))
      for (const pack of packs) {
        expect(pack.length).toBeLessThanOrEqual(packMembers)
        expect(packBytes(pack.map((member) => member.size))).toBeLessThanOrEqual(LIMITS.packBytes + 1024)
      }
    }),
  )
})

test('ten thousand files of 2 KB are a few packs, a hundred are one', () => {
  const many = objectsOf(Array.from({ length: 10_000 }, () => 2048))
  expect(planPush(many, LIMITS, 4).packs.length).toBeLessThanOrEqual(4)
  expect(planPush(many.slice(0, 100), LIMITS, 4).packs).toHaveLength(1)
})

test('the largest object starts first', () => {
  const { singles } = planPush(objectsOf([2e6, 9e6, 3e6]), LIMITS, 4)
  expect(singles.map((object) => object.size)).toEqual([9e6, 3e6, 2e6])
})

test('nothing is nothing', () => {
  expect(planPush([], LIMITS, 4)).toEqual({ packs: [], singles: [] })
})
