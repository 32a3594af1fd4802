import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Concurrency, createConcurrency, fixedConcurrency } from './concurrency.ts'

/** A line that carries `capacity` bytes a millisecond in all, and `share` for each body. Returns the limits seen. */
function drive(concurrency: Concurrency, bodies: number, line: { capacity: number; share: number }): number[] {
  const limits: number[] = []
  const bytes = 1000
  let at = 0
  for (let sent = 0; sent < bodies; sent++) {
    at += bytes / Math.min(line.capacity, concurrency.limit * line.share)
    concurrency.arrived(bytes, at)
    limits.push(concurrency.limit)
  }
  return limits
}

type Happening = { type: 'arrived'; bytes: number; after: number } | { type: 'pushedBack'; after: number }
const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.oneof(
    fc.record({ type: fc.constant('arrived' as const), bytes: fc.nat(1e6), after: fc.nat(1000) }),
    fc.record({ type: fc.constant('pushedBack' as const), after: fc.nat(1000) }),
  ),
  { maxLength: 200 },
)

describe('the number of bodies on the way', () => {
  test('stays between one and the most, whatever happens, and moves by one or halves', () => {
    fc.assert(
      fc.property(happenings, fc.integer({ min: -2, max: 40 }), fc.integer({ min: -2, max: 40 }), (list, start, most) => {
        const concurrency = createConcurrency({ start, most })
        let at = 0
        for (const happening of list) {
          const before = concurrency.limit
          at += happening.after
          if (happening.type === 'arrived') concurrency.arrived(happening.bytes, at)
          else concurrency.pushedBack(at)
          expect(concurrency.limit).toBeGreaterThanOrEqual(1)
          expect(concurrency.limit).toBeLessThanOrEqual(Math.max(1, most))
          if (happening.type === 'arrived') expect(Math.abs(concurrency.limit - before)).toBeLessThanOrEqual(1)
          else expect([before, Math.max(1, Math.floor(before / 2))]).toContain(concurrency.limit)
        }
      }),
    )
  })

  test('climbs on a line where each further body brings more, up to the most', () => {
    expect(drive(createConcurrency({ start: 4, most: 16 }), 400, { capacity: 1e9, share: 10 }).at(-1)).toBe(16)
  })

  test('stays near where it is when the line is full', () => {
    const limits = drive(createConcurrency({ start: 4, most: 16 }), 400, { capacity: 40, share: 10 })
    expect(Math.max(...limits)).toBeLessThanOrEqual(5)
    expect(Math.min(...limits)).toBeGreaterThanOrEqual(3)
  })

  test('finds the number that fills a line', () => {
    const limits = drive(createConcurrency({ start: 2, most: 16 }), 600, { capacity: 80, share: 10 })
    for (const limit of limits.slice(-100)) expect(Math.abs(limit - 8)).toBeLessThanOrEqual(1)
  })

  test('halves once for a crowd of refusals, and once more for the next crowd', () => {
    const concurrency = createConcurrency({ start: 8, most: 16 })
    for (let refusal = 0; refusal < 5; refusal++) concurrency.pushedBack(100)
    expect(concurrency.limit).toBe(4)
    for (let body = 0; body < 4; body++) concurrency.arrived(1000, 200 + body)
    concurrency.pushedBack(300)
    expect(concurrency.limit).toBe(2)
  })

  test('grows again after the server has recovered', () => {
    const concurrency = createConcurrency({ start: 8, most: 8 })
    for (let round = 0; round < 3; round++) {
      concurrency.pushedBack(round)
      for (let body = 0; body < 8; body++) concurrency.arrived(1, round)
    }
    expect(concurrency.limit).toBe(1)
    expect(drive(concurrency, 400, { capacity: 1e9, share: 10 }).at(-1)).toBe(8)
  })

  test('is what a person asked for, when one did', () => {
    const concurrency = fixedConcurrency(3)
    concurrency.pushedBack(1)
    expect(drive(concurrency, 50, { capacity: 1e9, share: 10 })).toEqual(Array.from({ length: 50 }, () => 3))
  })
})
