import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addSpan, cutSpans, missingSpans, prefixLength, type Span } from './byte-spans.ts'

const SIZE = 60
const span = fc.tuple(fc.nat(SIZE), fc.nat(SIZE)).map(([a, b]): Span => ({ start: Math.min(a, b), end: Math.max(a, b) }))
const spansOf = (list: readonly Span[]) => list.reduce<Span[]>((spans, added) => addSpan(spans, added), [])
const positions = (list: readonly Span[]): number[] =>
  list.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, index) => start + index))

test('spans are what a set of positions is, whatever came in whichever order', () => {
  fc.assert(
    fc.property(fc.array(span, { maxLength: 12 }), (list) => {
      const model = new Set(positions(list))
      const spans = spansOf(list)
      expect(positions(spans)).toEqual([...model].toSorted((a, b) => a - b))
      expect(spans.every((one, at) => one.end > one.start && (at === 0 || one.start > (spans[at - 1]?.end ?? 0)))).toBe(true)
      const lacking = Array.from({ length: SIZE }, (_, at) => at).filter((at) => !model.has(at))
      expect(positions(missingSpans(spans, SIZE))).toEqual(lacking)
      expect(prefixLength(spans)).toBe(lacking[0] ?? SIZE)
    }),
  )
})

test('pieces are the spans themselves, none longer than asked', () => {
  fc.assert(
    fc.property(fc.array(span, { maxLength: 12 }), fc.integer({ min: 1, max: 20 }), (list, length) => {
      const spans = spansOf(list)
      const pieces = cutSpans(spans, length)
      expect(positions(pieces)).toEqual(positions(spans))
      expect(pieces.every((piece) => piece.end - piece.start <= length)).toBe(true)
    }),
  )
})
