import { randomBytes } from 'node:crypto'
import { addSegment, LITERAL, packRecipe, type Recipe, type Segment } from '@cairn/protocol/delta'
import { type Digest } from '@cairn/protocol/digest'
import { digestOf } from './server.ts'

/** A piece of a base by its number, or new bytes. */
export type Part = { base: number; start: number; end: number } | Uint8Array

/** A delta that makes the parts, put behind one another, out of the bases. */
export function deltaOf(bases: readonly Buffer[], parts: readonly Part[], changes: Partial<Recipe> = {}): MadeDelta {
  const literals: Uint8Array[] = []
  const segments: Segment[] = []
  let literalEnd = 0
  const bytes = Buffer.concat(
    parts.map((part) => {
      if (part instanceof Uint8Array) {
        addSegment(segments, { base: LITERAL, offset: literalEnd, length: part.length })
        literalEnd += part.length
        literals.push(part)
        return part
      }
      addSegment(segments, { base: part.base, offset: part.start, length: part.end - part.start })
      return bases[part.base]?.subarray(part.start, part.end) ?? new Uint8Array()
    }),
  )
  const digest = digestOf(bytes)
  const recipe = { digest, size: bytes.length, bases: bases.map((base) => digestOf(base)), segments, ...changes }
  return { bytes, digest, body: Buffer.concat([packRecipe(recipe), ...literals]) }
}

export interface MadeDelta {
  /** The whole object. */
  bytes: Buffer
  digest: Digest
  body: Buffer
}

/** `base` with `length` new bytes from `at` on. */
export function changedAt(base: Buffer, at: number, length: number): MadeDelta {
  return deltaOf([base], [{ base: 0, start: 0, end: at }, randomBytes(length), { base: 0, start: at + length, end: base.length }])
}
