import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { fixedConcurrency } from './concurrency.ts'
import { inParallel, type Task } from './parallel.ts'

function* counted(count: number, task: (index: number) => Promise<number>, taken: number[]): Generator<Task> {
  for (let index = 0; index < count; index++) {
    taken.push(index)
    yield () => task(index)
  }
}

test('no more run at once than the controller says, and what it says may change', async () => {
  const concurrency = { limit: 2, arrived: () => undefined, pushedBack: () => undefined }
  let running = 0
  const seen: number[] = []
  const task = async (index: number) => {
    seen.push(++running)
    await setImmediate()
    running--
    if (index === 10) concurrency.limit = 5
    return 1
  }
  await inParallel(counted(40, task, []), concurrency)
  expect(Math.max(...seen.slice(0, 10))).toBe(2)
  expect(Math.max(...seen)).toBe(5)
  expect(seen).toHaveLength(40)
})

test('after a failure nothing more is taken, and it rejects when all has settled', async () => {
  let settled = 0
  const taken: number[] = []
  const task = async (index: number) => {
    for (let turn = 0; turn < index; turn++) await setImmediate()
    settled++
    if (index === 1) throw new Error('broken')
    return 1
  }
  await expect(inParallel(counted(40, task, taken), fixedConcurrency(4))).rejects.toThrow('broken')
  expect(taken.length).toBeLessThan(10)
  expect(settled).toBe(taken.length)
})

test('a source that fails lets what runs come to its end', async () => {
  let done = 0
  const source = function* (): Generator<Task> {
    yield async () => {
      await setImmediate()
      return ++done
    }
    throw new Error('cannot read')
  }
  await expect(inParallel(source(), fixedConcurrency(4))).rejects.toThrow('cannot read')
  expect(done).toBe(1)
})
