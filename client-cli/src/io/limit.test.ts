import { expect, test } from 'vitest'
import { mapLimit } from './limit.ts'

test('keeps the order and never runs more than the limit', async () => {
  let running = 0
  let most = 0
  const results = await mapLimit([5, 1, 4, 2, 3], 2, async (turns, index) => {
    most = Math.max(most, ++running)
    for (let i = 0; i < turns; i++) await Promise.resolve()
    running--
    return `${index}:${turns}`
  })
  expect(results).toEqual(['0:5', '1:1', '2:4', '3:2', '4:3'])
  expect(most).toBe(2)
})

test('takes from a source only what it is about to work on', async () => {
  const taken: number[] = []
  function* source() {
    for (let i = 0; i < 100; i++) {
      taken.push(i)
      yield i
    }
  }
  await expect(mapLimit(source(), 3, async (n) => (n === 5 ? Promise.reject(new Error('five')) : n))).rejects.toThrow('five')
  expect(taken.length).toBeLessThan(20)
})

test('rejects only after the calls under way have settled', async () => {
  let settled = false
  const slow = async () => {
    await new Promise((resolve) => setImmediate(resolve))
    settled = true
  }
  await expect(
    mapLimit(['fail', 'slow'], 2, (name) => (name === 'fail' ? Promise.reject(new Error('x')) : slow())),
  ).rejects.toThrow('x')
  expect(settled).toBe(true)
})

test('nothing in, nothing out; a limit below one is one', async () => {
  expect(await mapLimit([], 4, async () => 1)).toEqual([])
  expect(await mapLimit([1, 2], 0, async (n) => n)).toEqual([1, 2])
})
