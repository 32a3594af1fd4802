import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LITERAL } from '@cairn/protocol/delta'
import { cover, type Stretch } from './difference.ts'
import { type Piece, planRuns } from './pieces.ts'

const KEYS = ['first', 'second', 'third']
/** Every byte of every blob tells where it is. */
const byteOf = (key: string, at: number) => `${key[0]}${at}`
const bytesOf = (pieces: readonly Piece[]) =>
  pieces.flatMap(({ key, offset, length }) => Array.from({ length }, (_, index) => byteOf(key, offset + index)))

const piece = fc.record({ key: fc.constantFrom(...KEYS), offset: fc.nat(60), length: fc.integer({ min: 1, max: 25 }) })
const pieces = fc.array(piece, { maxLength: 8 })

function stretchesOf(bases: readonly (readonly Piece[])[]): Map<string, Stretch[]> {
  const stretches = new Map<string, Stretch[]>()
  for (const [base, parts] of bases.entries()) {
    let baseOffset = 0
    for (const { key, offset, length } of parts) {
      stretches.set(key, [...(stretches.get(key) ?? []), { start: offset, end: offset + length, base, baseOffset }])
      baseOffset += length
    }
  }
  for (const list of stretches.values()) list.sort((a, b) => a.start - b.start)
  return stretches
}

describe('the difference of objects by where their bytes are', () => {
  test('makes the object out of the bases and what is left, whatever lies where', () => {
    fc.assert(
      fc.property(pieces, fc.array(pieces, { maxLength: 3 }), (object, bases) => {
        const { segments, literals } = cover(object, stretchesOf(bases))
        const rest = bytesOf(literals)
        const made = segments.flatMap(({ base, offset, length }) =>
          (base === LITERAL ? rest : bytesOf(bases[base] ?? [])).slice(offset, offset + length),
        )
        expect(made).toEqual(bytesOf(object))
      }),
    )
  })

  test('leaves nothing of an object that a base has all of', () => {
    fc.assert(
      fc.property(pieces, (object) => {
        expect(cover(object, stretchesOf([object])).literals).toEqual([])
      }),
    )
  })
})

test('pieces of one blob that follow each other closely are one read, and a step back is another', () => {
  const at = (key: string, offset: number, length: number) => ({ key, offset, length })
  const runs = planRuns([at('a', 0, 10), at('b', 0, 5), at('a', 20, 10), at('a', 10_000_000, 5), at('a', 0, 10)])
  expect(runs[0]).toBe(runs[2])
  expect(new Set(runs).size).toBe(4)
  expect(runs[0]).toEqual({ key: 'a', start: 0, end: 30 })
})
