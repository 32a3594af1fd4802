import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeDigest } from './digest.ts'
import {
  MAX_MEMBER_BYTES,
  packBytes,
  PackWriter,
  parsePackIndex,
  parsePackTrailer,
  INDEX_ENTRY_BYTES,
  readPack,
  TRAILER_BYTES,
} from './pack.ts'

function buildPack(payloads: readonly Uint8Array[]): Uint8Array {
  const writer = new PackWriter()
  const pieces = [writer.start()]
  for (const payload of payloads)
    pieces.push(writer.header(makeDigest(createHash('md5').update(payload).digest('hex')), payload.length), payload)
  pieces.push(writer.end(randomBytes(16)))
  return Buffer.concat(pieces)
}

async function* cut(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const collect = async (chunks: AsyncIterable<Uint8Array>) => Array.fromAsync(readPack(chunks))
const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 })

describe('a pack', () => {
  test('comes back whole, however its bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, fc.integer({ min: 1, max: 400 }), async (list, size) => {
        const pack = buildPack(list)
        const records = await collect(cut(pack, size))
        expect(records.map((record) => record.type === 'object' && Buffer.from(record.payload))).toEqual(
          list.map((bytes) => Buffer.from(bytes)),
        )
        expect(pack.length).toBe(packBytes(list.map((bytes) => bytes.length)))
        for (const record of records) {
          if (record.type === 'object')
            expect(Buffer.from(pack.subarray(record.offset, record.offset + record.payload.length))).toEqual(
              Buffer.from(record.payload),
            )
        }
      }),
    )
  })

  test('lists its members from its tail alone', () => {
    const list = [Buffer.from('one'), Buffer.from(''), Buffer.from('three')]
    const pack = buildPack(list)
    const count = parsePackTrailer(pack.subarray(pack.length - TRAILER_BYTES))
    const members = parsePackIndex(pack.subarray(pack.length - TRAILER_BYTES - count * INDEX_ENTRY_BYTES))
    expect(members.map(({ offset, length }) => pack.subarray(offset, offset + length).toString())).toEqual(['one', '', 'three'])
  })

  test('cut short at any byte is refused', async () => {
    const pack = buildPack([Buffer.from('one'), Buffer.from('two')])
    for (let length = 0; length < pack.length; length++) await expect(collect(cut(pack.subarray(0, length), 7))).rejects.toThrow()
  })

  test('with a flipped byte in its frame is refused or names other bytes, never crashes', async () => {
    const pack = buildPack([Buffer.from('one'), Buffer.from('two')])
    const original = await collect(cut(pack, 1000))
    for (let at = 0; at < pack.length; at++) {
      const damaged = Buffer.from(pack)
      damaged[at] = (damaged[at] ?? 0) ^ 0x41
      try {
        const records = await collect(cut(damaged, 1000))
        const nonce = at >= pack.length - TRAILER_BYTES - 2 * INDEX_ENTRY_BYTES - 16
        if (!nonce) expect(records.length === original.length).toBe(true)
      } catch (error) {
        expect(error).toHaveProperty('code', 'BAD_PACK')
      }
    }
  })

  test('with a member that announces more than the limit is refused before its bytes are read', async () => {
    const writer = new PackWriter()
    const header = writer.header(makeDigest('d41d8cd98f00b204e9800998ecf8427e'), MAX_MEMBER_BYTES + 1)
    async function* endless() {
      yield writer.start()
      yield header
      throw new Error('read too far')
    }
    await expect(collect(endless())).rejects.toThrow('too large for a pack')
  })

  test('followed by more bytes is refused', async () => {
    await expect(collect(cut(Buffer.concat([buildPack([]), Buffer.from('x')]), 9))).rejects.toThrow('after the end')
  })
})
