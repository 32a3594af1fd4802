import { makeDigest } from '@cairn/protocol/digest'
import { serializeTree } from '@cairn/protocol/tree'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { treePieces } from './tree-pieces.ts'

const aPath = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 3 })
const anMd5 = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 })

test('the pieces of a tree are its serialized bytes, whatever the order of the rows', () => {
  const aRow = fc.record({ path: aPath.map((parts) => parts.join('/')).filter((path) => path.isWellFormed()), md5: anMd5 })
  fc.assert(
    fc.property(
      fc.uniqueArray(aRow, { selector: (row) => row.path, maxLength: 30 }),
      fc.integer({ min: 1, max: 60 }),
      (list, times) => {
        const rows = Array.from({ length: times }, (_, n) => list.map((row) => ({ ...row, path: `${n}/${row.path}` }))).flat()
        const pieces = [
          ...treePieces({ count: rows.length, path: (row) => rows[row]?.path ?? '', md5: (row) => rows[row]?.md5 ?? '' }),
        ]
        const whole = serializeTree(rows.map(({ path, md5 }) => ({ path, digest: makeDigest(md5) })))
        expect(Buffer.concat(pieces).equals(whole)).toBe(true)
      },
    ),
    { numRuns: 50 },
  )
})
