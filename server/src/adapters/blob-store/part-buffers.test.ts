import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFiller } from './filler.ts'
import { createPartBuffers } from './part-buffers.ts'

const { signal } = new AbortController()

describe('buffers of parts', () => {
  test('no more is out than there is room for, and who waits is served in turn', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 30 }), async (lengths) => {
        const buffers = createPartBuffers(10)
        const out: Buffer[] = []
        const served: number[] = []
        const all = Promise.all(
          lengths.map(async (length, at) => {
            const buffer = await buffers.take(length, signal)
            out.push(buffer)
            served.push(at)
            const sum = out.reduce((total, { length: one }) => total + one, 0)
            expect(sum <= 10 || out.length === 1).toBe(true)
            await Promise.resolve()
            out.splice(out.indexOf(buffer), 1)
            buffers.give(buffer)
          }),
        )
        await all
        expect(served).toEqual(lengths.map((_, at) => at))
      }),
    )
  })

  test('who waits may leave, and a second buffer is nobody’s while others wait for a first', async () => {
    const buffers = createPartBuffers(10)
    const first = await buffers.take(8, signal)
    const controller = new AbortController()
    const leaving = buffers.take(8, controller.signal)
    expect(buffers.tryTake(1)).toBeUndefined()
    controller.abort(new Error('gone'))
    await expect(leaving).rejects.toThrow('gone')
    expect(buffers.tryTake(2)).toHaveLength(2)
    buffers.give(first)
    expect(await buffers.take(8, signal)).toBe(first)
  })
})

describe('a filler', () => {
  test('fills buffers of any length from chunks of any length', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 9 })), fc.integer({ min: 1, max: 7 }), async (chunks, length) => {
        const filler = createFiller(each(chunks))
        const parts: Buffer[] = []
        while (!(await filler.ended())) parts.push(Buffer.from(await filler.fill(Buffer.alloc(length))))
        expect(Buffer.concat(parts)).toEqual(Buffer.concat(chunks))
        for (const part of parts.slice(0, -1)) expect(part).toHaveLength(length)
      }),
    )
  })

  test('writes nothing into a buffer once the stream was left', async () => {
    const gate = Promise.withResolvers<void>()
    async function* slow() {
      await gate.promise
      yield Buffer.from('late')
    }
    const filler = createFiller(slow())
    const buffer = Buffer.alloc(4)
    const filling = filler.fill(buffer)
    filler.leave()
    gate.resolve()
    await expect(filling).rejects.toThrow('left')
    expect(buffer).toEqual(Buffer.alloc(4))
  })
})

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  await Promise.resolve()
  yield* chunks
}
