import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Chunk, createChunkLister, GEAR, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, packChunks, unpackChunks } from './chunks.ts'
import { isCode } from './error.ts'

const newHash = () => {
  const md5 = createHash('md5')
  return { update: (bytes: Uint8Array) => void md5.update(bytes), digest: () => md5.digest('hex') }
}

function chunksOf(bytes: Uint8Array, pieces: readonly number[] = [bytes.length]): Chunk[] {
  const chunks: Chunk[] = []
  const lister = createChunkLister(newHash, (chunk) => chunks.push(chunk))
  let from = 0
  for (let turn = 0; from < bytes.length; turn++) {
    const piece = Math.max(1, pieces[turn % pieces.length] ?? 1)
    lister.add(bytes.subarray(from, from + piece))
    from += piece
  }
  lister.end()
  return chunks
}

/** Bytes that look random and are the same in every run. */
function noise(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = seed | 0
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes[index] = state >>> 24
  }
  return bytes
}

describe('chunks', () => {
  test('the table and the borders are those that every other side has', () => {
    expect(createHash('sha256').update(new Uint8Array(GEAR.buffer)).digest('hex').slice(0, 16)).toBe('eb3b3cab1b1d29e6')
    expect(chunksOf(noise(1, 400_000)).map((chunk) => chunk.length)).toEqual([82_036, 74_202, 76_373, 91_187, 20_049, 56_153])
  })

  test('the same bytes have the same chunks, in whatever pieces they come', () => {
    const bytes = noise(7, 1_000_000)
    const whole = chunksOf(bytes)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 8 }), (pieces) => {
        expect(chunksOf(bytes, pieces)).toEqual(whole)
      }),
      { numRuns: 20 },
    )
  })

  test('all but the last keep between the bounds, and together they are the bytes', () => {
    const plain = [noise(3, 3_000_000), new Uint8Array(1_000_000), new Uint8Array(700_000).fill(255), noise(4, 100)]
    for (const bytes of plain) {
      const chunks = chunksOf(bytes)
      for (const { length } of chunks.slice(0, -1)) {
        expect(length).toBeGreaterThan(MIN_CHUNK_BYTES)
        expect(length).toBeLessThanOrEqual(MAX_CHUNK_BYTES)
      }
      let at = 0
      for (const { md5, length } of chunks) {
        expect(
          createHash('md5')
            .update(bytes.subarray(at, at + length))
            .digest('hex'),
        ).toBe(md5)
        at += length
      }
      expect(at).toBe(bytes.length)
    }
    expect(chunksOf(new Uint8Array())).toEqual([])
  })

  test('an insertion moves only its neighbours', () => {
    const bytes = noise(11, 4_000_000)
    const known = new Set(chunksOf(bytes).map((chunk) => chunk.md5))
    fc.assert(
      fc.property(fc.nat(bytes.length), fc.integer({ min: 1, max: 5000 }), (place, length) => {
        const changed = Buffer.concat([bytes.subarray(0, place), randomBytes(length), bytes.subarray(place)])
        const fresh = chunksOf(changed).filter((chunk) => !known.has(chunk.md5))
        expect(fresh.reduce((sum, chunk) => sum + chunk.length, 0)).toBeLessThan(1_000_000)
      }),
      { numRuns: 10 },
    )
  })

  test('a list survives packing, and what is no list is refused', () => {
    const chunks = chunksOf(noise(5, 900_000))
    expect(unpackChunks(packChunks(chunks))).toEqual(chunks)
    const packed = packChunks(chunks)
    const wrong = [
      packed.subarray(1),
      packed.subarray(0, -1),
      packChunks([{ md5: '0'.repeat(32), length: 0 }]),
      Buffer.from('CAIRN'),
    ]
    for (const bytes of [...wrong, packChunks([{ md5: '0'.repeat(32), length: MAX_CHUNK_BYTES + 1 }])])
      expect(() => unpackChunks(bytes)).toThrow(expect.objectContaining({ code: 'BAD_DELTA' }))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          unpackChunks(bytes)
        } catch (error) {
          expect(isCode(error, 'BAD_DELTA')).toBe(true)
        }
      }),
    )
  })
})
