import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeDigest } from '@cairn/protocol/digest'
import { planRanges } from './fetch.ts'
import type { ObjectRow } from './ports/catalog.ts'
import { hashMembers } from './scrub.ts'

const row = (id: number, blobId: number, offset: number, bytes: Uint8Array | number): ObjectRow => ({
  id,
  digest: makeDigest(id.toString(16).padStart(32, '0')),
  size: typeof bytes === 'number' ? bytes : bytes.length,
  sha256: createHash('sha256')
    .update(typeof bytes === 'number' ? '' : bytes)
    .digest(),
  state: 'live',
  blobId,
  key: `1/packs/${blobId}`,
  offset,
  broken: false,
})

/** Members of one blob with gaps between them, and the blob. */
const blob = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 0, max: 30 })), { maxLength: 20 })
  .map((parts) => {
    let offset = 0
    const pieces: Uint8Array[] = []
    const rows = parts.map(([bytes, gap], index) => {
      pieces.push(new Uint8Array(gap), bytes)
      offset += gap + bytes.length
      return row(index + 1, 1, offset - bytes.length, bytes)
    })
    return { rows, bytes: Buffer.concat(pieces) }
  })

async function* cut(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size))
}

test('neighbours in a pack are read with one request, in the order they rest', () => {
  const ranges = planRanges([row(3, 7, 5000, 100), row(1, 7, 32, 100), row(2, 7, 200, 4000), row(4, 8, 0, 10)])
  expect(ranges.map(({ key, start, end, rows }) => [key, start, end, rows.map(({ id }) => id)])).toEqual([
    ['1/packs/7', 32, 5100, [1, 2, 3]],
    ['1/packs/8', 0, 10, [4]],
  ])
})

test('a gap of 64 KiB and a range of 8 MiB part what is read at once', () => {
  expect(planRanges([row(1, 1, 0, 10), row(2, 1, 10 + 64 * 1024, 10)])).toHaveLength(2)
  expect(planRanges([row(1, 1, 0, 10), row(2, 1, 9 + 64 * 1024, 10)])).toHaveLength(1)
  const mib = 1024 * 1024
  expect(planRanges(Array.from({ length: 10 }, (_, at) => row(at, 1, at * mib, mib)))).toHaveLength(2)
})

test('every wanted object is in exactly one range, which covers it', () => {
  fc.assert(
    fc.property(blob, ({ rows }) => {
      const ranges = planRanges(rows)
      expect(ranges.flatMap((range) => range.rows.map(({ id }) => id)).toSorted((a, b) => a - b)).toEqual(
        rows.map(({ id }) => id),
      )
      for (const range of ranges)
        for (const { offset, size } of range.rows) expect(offset >= range.start && offset + size <= range.end).toBe(true)
    }),
  )
})

test('one pass over a blob finds exactly the members whose bytes changed, however the bytes arrive', async () => {
  await fc.assert(
    fc.asyncProperty(blob, fc.integer({ min: 1, max: 50 }), fc.nat(), async ({ rows, bytes }, size, at) => {
      expect(await hashMembers(cut(bytes, size), rows)).toEqual([])
      if (bytes.length === 0) return
      const changed = Buffer.from(bytes)
      const place = at % bytes.length
      changed[place] = (changed[place] ?? 0) ^ 1
      const hit = rows.filter((one) => one.offset <= place && place < one.offset + one.size).map(({ id }) => id)
      expect((await hashMembers(cut(changed, size), rows)).map(({ id }) => id)).toEqual(hit)
    }),
  )
})

test('members behind the end of a cut blob are damaged', async () => {
  const rows = [row(1, 1, 0, Buffer.from('first')), row(2, 1, 5, Buffer.from('second')), row(3, 1, 11, Buffer.from('third'))]
  expect((await hashMembers(cut(Buffer.from('firstsec'), 3), rows)).map(({ id }) => id)).toEqual([2, 3])
})
