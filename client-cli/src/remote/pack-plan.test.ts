import { makeDigest } from '@cairn/protocol/digest'
import { packBytes } from '@cairn/protocol/pack'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Outgoing } from './outgoing.ts'
import { planSends } from './pack-plan.ts'

const LIMITS = { packBytes: 32 * 1024 * 1024, packMembers: 65_536 }
const objectsOf = (sizes: readonly number[]): Outgoing[] =>
  sizes.map((size, index) => ({ digest: makeDigest(index.toString(16).padStart(32, '0')), path: `/cache/${index}`, size }))

function plan(objects: readonly Outgoing[], limits = LIMITS, jobs = 4) {
  const sends = [...planSends(objects, limits, jobs)]
  return {
    packs: sends.flatMap((send) => (send.kind === 'pack' ? [send.members] : [])),
    singles: sends.flatMap((send) => (send.kind === 'single' ? [send.object] : [])),
  }
}

const sizes = fc.array(fc.oneof(fc.nat(4096), fc.nat(3 * 1024 * 1024)), { maxLength: 200 })

test('every object travels once, in its order, small ones in packs that the server takes', () => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 50 }), (list, jobs, packMembers) => {
      const objects = objectsOf(list)
      const { packs, singles } = plan(objects, { ...LIMITS, packMembers }, jobs)
      expect(packs.flat()).toEqual(objects.filter((object) => object.size < 1024 * 1024))
      expect(singles).toEqual(objects.filter((object) => object.size >= 1024 * 1024))
      for (const pack of packs) {
        expect(pack.length).toBeGreaterThan(0)
        expect(pack.length).toBeLessThanOrEqual(packMembers)
        expect(packBytes(pack.map((member) => member.size))).toBeLessThanOrEqual(LIMITS.packBytes + 1024)
      }
    }),
  )
})

test('ten thousand files of 2 KB are a few packs, a hundred are one', () => {
  const many = objectsOf(Array.from({ length: 10_000 }, () => 2048))
  expect(plan(many).packs.length).toBeLessThanOrEqual(4)
  expect(plan(many.slice(0, 100)).packs).toHaveLength(1)
})

test('packs grow to what the server takes, once each connection has had one', () => {
  const { packs } = plan(objectsOf(Array.from({ length: 2000 }, () => 200_000)))
  const bytes = packs.map((pack) => packBytes(pack.map((member) => member.size)))
  expect(bytes.slice(0, 4).every((size) => size < 9e6)).toBe(true)
  expect(bytes.slice(8, -1).every((size) => size > 30e6)).toBe(true)
})

test('a hundred thousand tiny objects do not make one answer wait for them all', () => {
  const { packs } = plan(objectsOf(Array.from({ length: 100_000 }, () => 40)))
  expect(Math.max(...packs.map((pack) => pack.length))).toBeLessThan(10_000)
})

test('objects are looked at only as far as they are sent', () => {
  let taken = 0
  const endless = function* () {
    for (const object of objectsOf(Array.from({ length: 10_000 }, () => 8192))) {
      taken++
      yield object
    }
  }
  planSends(endless(), LIMITS, 4).next()
  expect(taken).toBeLessThan(1100)
})

test('nothing is nothing', () => {
  expect(plan([])).toEqual({ packs: [], singles: [] })
})
