import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planParts, partCount, partRange } from './part-plan.ts'
import { createRunningHashes } from './running-hashes.ts'
import { createMeter } from './verify-stream.ts'

const signal = new AbortController().signal
const part = (number: number) => Buffer.from(`part ${number};`)
const md5 = (parts: number) =>
  createHash('md5')
    .update(Buffer.concat(Array.from({ length: parts }, (_, number) => part(number))))
    .digest('hex')

test('parts in order are hashed as one, and one that broke off counts for nothing', async () => {
  const hashes = createRunningHashes(() => createMeter(false))
  for (const number of [0, 1, 2]) {
    const broken = await hashes.takeTurn('a', number, signal)
    await broken?.update(Buffer.from('half of something'))
    broken?.cancel()
    broken?.end()
    const turn = await hashes.takeTurn('a', number, signal)
    await turn?.update(part(number))
    turn?.end()
    turn?.cancel()
  }
  expect(hashes.find('a')?.parts).toBe(3)
  expect((await hashes.find('a')?.meter.copy().finish())?.md5).toBe(md5(3))
})

test('a part waits for the one before it, and is hashed behind it', async () => {
  const hashes = createRunningHashes(() => createMeter(false))
  const first = await hashes.takeTurn('a', 0, signal)
  const second = hashes.takeTurn('a', 1, signal)
  await first?.update(part(0))
  first?.end()
  const turn = await second
  await turn?.update(part(1))
  turn?.end()
  expect((await hashes.find('a')?.meter.copy().finish())?.md5).toBe(md5(2))
})

test('a part whose predecessor does not come is stored unhashed, and so are those behind it', async () => {
  const hashes = createRunningHashes(() => createMeter(false))
  expect(await hashes.takeTurn('a', 1, signal)).toBeUndefined()
  const first = await hashes.takeTurn('a', 0, signal)
  first?.end()
  expect(await hashes.takeTurn('a', 2, signal)).toBeUndefined()
  expect(hashes.find('a')?.parts).toBe(1)
})

test('who waits for its turn stops waiting when it is aborted, or the upload is dropped', async () => {
  const hashes = createRunningHashes(() => createMeter(false))
  await hashes.takeTurn('a', 0, signal)
  const controller = new AbortController()
  const aborted = hashes.takeTurn('a', 1, controller.signal)
  const reason = new Error('gone')
  controller.abort(reason)
  await expect(aborted).rejects.toBe(reason)
  const dropped = hashes.takeTurn('a', 1, signal)
  hashes.drop('a')
  expect(await dropped).toBeUndefined()
})

test('a part that could not be kept leaves no trace in the hash, also while the next one is under way', async () => {
  const hashes = createRunningHashes(() => createMeter(false))
  const first = await hashes.takeTurn('a', 0, signal)
  await first?.update(part(0))
  first?.end()
  const second = await hashes.takeTurn('a', 1, signal)
  hashes.drop('a')
  await second?.update(part(1))
  second?.end()
  expect(hashes.find('a')).toBeUndefined()
})

test('any size is cut into parts that cover it once, that S3 takes, and not too many', () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 100_000_000 }), fc.integer({ min: 1, max: 2 ** 42 }))
  fc.assert(
    fc.property(size, (bytes) => {
      const plan = planParts(bytes)
      const count = partCount(plan)
      expect(count).toBeLessThanOrEqual(10_000)
      expect(plan.partBytes).toBeGreaterThanOrEqual(5 * 1024 * 1024)
      expect(plan.partBytes).toBeLessThanOrEqual(5 * 1024 ** 3)
      expect(partRange(plan, 0)?.start).toBe(0)
      expect(partRange(plan, count - 1)?.end).toBe(bytes)
      for (const number of [-1, 0.5, count, Number.NaN]) expect(partRange(plan, number)).toBeUndefined()
      if (count > 1) expect(partRange(plan, 1)?.start).toBe(partRange(plan, 0)?.end)
    }),
  )
})
