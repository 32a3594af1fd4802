import { describe, expect, test } from 'vitest'
import { linkStages } from './graph.ts'
import { makeStage } from './stage-for-tests.ts'
import { createStageQueue } from './stage-queue.ts'

const names = (stages: readonly { address: string }[]) => stages.map((stage) => stage.address)

describe('the queue of stages', () => {
  const a = makeStage('a', { outs: ['a.out'] })
  const b = makeStage('b', { deps: ['a.out'], outs: ['b.out'] })
  const c = makeStage('c', { deps: ['b.out'] })
  const d = makeStage('d', { outs: ['d.out'] })
  const queue = () => createStageQueue(linkStages([a, b, c, d]), [a, b, c, d])

  test('gives what waits for nobody, in the order of the plan', () => {
    const stages = queue()
    expect([stages.take(), stages.take(), stages.take()]).toEqual([a, d, undefined])
    stages.finish(a)
    expect([stages.take(), stages.take()]).toEqual([b, undefined])
    stages.finish(b)
    expect(stages.take()).toBe(c)
    expect(stages.take()).toBeUndefined()
  })

  test('takes out what depends on a stage without a result, and nothing else', () => {
    const stages = queue()
    stages.take()
    expect(names(stages.drop(a))).toEqual(['b', 'c'])
    expect([stages.take(), stages.take()]).toEqual([d, undefined])
  })

  test('starts nothing when it was stopped', () => {
    const stages = queue()
    stages.stop()
    expect(stages.take()).toBeUndefined()
  })

  test('does not look at what a frozen stage reads while it is written', () => {
    const frozen = makeStage('frozen', { deps: ['a.out'], outs: ['f.out'], frozen: true })
    const stages = createStageQueue(linkStages([a, frozen], { cutFrozen: true }), [a, frozen])
    expect([stages.take(), stages.take()]).toEqual([a, undefined])
    stages.finish(a)
    expect(stages.take()).toBe(frozen)
  })
})
