import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBatching, Refused } from './batching.ts'

/** A batching whose runs end when the test says so. */
function underControl(options: { lanes?: number; members?: number; weight?: { of: (n: number) => number; most: number } } = {}) {
  const runs: Array<{
    batch: readonly number[]
    end: (results?: ReadonlyArray<number | Refused>) => void
    fail: (e: Error) => void
  }> = []
  const batching = createBatching<number, number>({
    lanes: 1,
    members: 100,
    ...options,
    run: (batch) =>
      new Promise((resolve, reject) => runs.push({ batch, end: (results) => resolve(results ?? batch), fail: reject })),
  })
  return { runs, batching }
}

describe('batching', () => {
  test('a lone member starts within the same turn, and has its own result', async () => {
    const { runs, batching } = underControl()
    const answer = batching.add(7)
    await turn()
    expect(runs.map(({ batch }) => batch)).toEqual([[7]])
    runs[0]?.end([49])
    expect(await answer).toBe(49)
  })

  test('those who come while all lanes are busy go together', async () => {
    const { runs, batching } = underControl({ lanes: 2 })
    const answers = [batching.add(1)]
    await turn()
    answers.push(batching.add(2))
    await turn()
    for (const member of [3, 4, 5]) answers.push(batching.add(member))
    await turn()
    expect(runs.map(({ batch }) => batch)).toEqual([[1], [2]])
    runs[0]?.end()
    await turn()
    await turn()
    expect(runs[2]?.batch).toEqual([3, 4, 5])
    for (const run of runs) run.end()
    expect(await Promise.all(answers)).toEqual([1, 2, 3, 4, 5])
  })

  test('one refused member fails alone, and a run that fails fails all of its members and no later one', async () => {
    const { runs, batching } = underControl()
    const first = Promise.allSettled([batching.add(1), batching.add(2)])
    await turn()
    runs[0]?.end([1, new Refused(new Error('two'))])
    expect((await first).map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    const second = Promise.allSettled([batching.add(3), batching.add(4)])
    await turn()
    await turn()
    runs[1]?.fail(new Error('the disk'))
    expect((await second).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    const third = batching.add(5)
    await turn()
    await turn()
    runs[2]?.end()
    expect(await third).toBe(5)
  })

  test('whatever comes, every member is in one run, in order, and no run is larger than it may be', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 3 }),
        async (members, lanes) => {
          const seen: number[][] = []
          const batching = createBatching<number, number>({
            lanes,
            members: 5,
            weight: { of: (member) => member, most: 12 },
            run: async (batch) => {
              seen.push([...batch])
              await turn()
              return batch.map((member) => member * 2)
            },
          })
          expect(await Promise.all(members.map((member) => batching.add(member)))).toEqual(members.map((member) => member * 2))
          expect(seen.flat()).toEqual(members)
          for (const batch of seen) {
            expect(batch.length).toBeLessThanOrEqual(5)
            expect(batch.length === 1 || batch.reduce((sum, member) => sum + member, 0) <= 12).toBe(true)
          }
        },
      ),
      { numRuns: 30 },
    )
  })
})
