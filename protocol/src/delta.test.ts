import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addSegment, LITERAL, packRecipe, parseRecipe, type Recipe, recipeLength, type Segment, sliceSegments } from './delta.ts'
import { makeDigest } from './digest.ts'
import { CairnError } from './error.ts'

const digest = makeDigest('0123456789abcdef0123456789abcdef')

const recipes = fc
  .record({
    bases: fc.array(fc.stringMatching(/^[0-9a-z/_-]{1,60}$/), { minLength: 1, maxLength: 5 }),
    pieces: fc.array(
      fc.record({ base: fc.integer({ min: -1, max: 4 }), offset: fc.nat(2 ** 40), length: fc.integer({ min: 1, max: 2 ** 33 }) }),
      {
        maxLength: 30,
      },
    ),
    kind: fc.record({ legacy: fc.boolean() }),
  })
  .map(({ bases, pieces, kind }): Recipe => {
    let literals = 0
    const segments = pieces.map(({ base, offset, length }) => {
      if (base === LITERAL) {
        literals += length
        return { base, offset: literals - length, length }
      }
      return { base: base % bases.length, offset, length }
    })
    const size = segments.reduce((sum, segment) => sum + segment.length, 0)
    return { digest: makeDigest('ab'.repeat(16), kind), size, bases, segments }
  })

const recipe = (segments: Segment[], changes: Partial<Recipe> = {}): Recipe => ({
  digest,
  size: segments.reduce((sum, segment) => sum + segment.length, 0),
  bases: ['first', 'second'],
  segments,
  ...changes,
})

describe('a recipe', () => {
  test('survives packing', () => {
    fc.assert(
      fc.property(recipes, (one) => {
        const packed = packRecipe(one)
        expect(recipeLength(packed.subarray(0, 20))).toBe(packed.length)
        expect(parseRecipe(packed)).toEqual(one)
      }),
    )
  })

  test('is refused for anything that does not add up', () => {
    const copy = { base: 0, offset: 0, length: 10 }
    const wrong: Record<string, Recipe> = {
      'too short': recipe([copy], { size: 11 }),
      'too long': recipe([copy, copy], { size: 15 }),
      'a base that is not there': recipe([{ ...copy, base: 2 }]),
      'an empty segment': recipe([{ ...copy, length: 0 }]),
      'a gap in the literals': recipe([{ base: LITERAL, offset: 1, length: 4 }]),
      'overlapping literals': recipe([
        { base: LITERAL, offset: 0, length: 4 },
        { base: LITERAL, offset: 2, length: 4 },
      ]),
      'numbers that overflow': recipe([{ base: 0, offset: Number.MAX_SAFE_INTEGER, length: 1 }]),
    }
    for (const [name, one] of Object.entries(wrong)) {
      expect(() => parseRecipe(packRecipe(one)), name).toThrow(expect.objectContaining({ code: 'BAD_DELTA' }))
    }
  })

  test('with huge counts is refused by its first bytes', () => {
    const packed = packRecipe(recipe([{ base: 0, offset: 0, length: 1 }]))
    for (const at of [8, 12, 16]) {
      const hostile = packed.slice()
      new DataView(hostile.buffer).setUint32(at, 0xffff_ffff, true)
      expect(() => recipeLength(hostile.subarray(0, 20))).toThrow(expect.objectContaining({ code: 'BAD_DELTA' }))
    }
  })

  test('with any bytes changed or cut fails in words, or still adds up', () => {
    fc.assert(
      fc.property(recipes, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(), (one, place, byte, cut) => {
        const packed = packRecipe(one)
        packed[place % packed.length] = byte
        try {
          const parsed = parseRecipe(packed.subarray(0, packed.length - (cut % 3)))
          expect(parsed.segments.reduce((sum, segment) => sum + segment.length, 0)).toBe(parsed.size)
        } catch (error) {
          expect(error).toBeInstanceOf(CairnError)
        }
      }),
    )
  })
})

describe('segments', () => {
  test('that go on where the last one ended become one', () => {
    const segments: Segment[] = []
    addSegment(segments, { base: 0, offset: 0, length: 5 })
    addSegment(segments, { base: 0, offset: 5, length: 5 })
    addSegment(segments, { base: 1, offset: 10, length: 0 })
    addSegment(segments, { base: 1, offset: 10, length: 5 })
    expect(segments).toEqual([
      { base: 0, offset: 0, length: 10 },
      { base: 1, offset: 10, length: 5 },
    ])
  })

  test('of a part make the bytes of that part', () => {
    const bases = [Buffer.from('abcdefghijklmnopqrstuvwxyz'), Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ')]
    const bytesOf = (segments: readonly Segment[]) =>
      segments.map(({ base, offset, length }) => bases[base]?.toString('latin1', offset, offset + length)).join('')
    const segment = fc.record({ base: fc.nat(1), offset: fc.nat(20), length: fc.integer({ min: 1, max: 6 }) })
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 12 }), fc.nat(80), fc.nat(80), (segments, start, end) => {
        expect(bytesOf(sliceSegments(segments, start, end))).toBe(bytesOf(segments).slice(start, Math.max(start, end)))
      }),
    )
  })
})
