import fc from 'fast-check'
import { expect, test } from 'vitest'
import { buildGraph, downstreamOf, orderStages, upstreamOf } from '../../client-cli/src/pipeline/graph.ts'
import type { Stage } from '../../client-cli/src/pipeline/stage.ts'
import { makeStage } from '../../client-cli/src/pipeline/stage-for-tests.ts'

/** Stages in any order of which each reads outs of stages with smaller numbers only: never a circle. */
const acyclic = fc.array(fc.array(fc.nat(100), { maxLength: 4 }), { minLength: 1, maxLength: 25 }).chain((rows) =>
  fc.shuffledSubarray(
    rows.map((reads, number) => {
      const deps = number === 0 ? [] : [...new Set(reads.map((read) => `out-${read % number}`))]
      return makeStage(`stage-${number}`, { deps, outs: [`out-${number}`] })
    }),
    { minLength: rows.length },
  ),
)

test('every stage comes after all that it depends on, once, whatever the order of the files', () => {
  fc.assert(
    fc.property(acyclic, (stages) => {
      const graph = buildGraph(stages)
      const ordered = orderStages(graph)
      expect(new Set(ordered)).toEqual(new Set(stages))
      expect(ordered).toHaveLength(stages.length)
      const place = new Map(ordered.map((stage, index) => [stage, index]))
      for (const stage of stages)
        for (const before of graph.dependencies(stage)) expect(place.get(before)!).toBeLessThan(place.get(stage)!)
    }),
  )
})

test('stages come in the order of the files, each right after what it still lacks', () => {
  fc.assert(
    fc.property(acyclic, (stages) => {
      const graph = buildGraph(stages)
      const expected = new Set<Stage>()
      for (const stage of stages) {
        const needed = upstreamOf(graph, [stage])
        const block = orderStages(graph).filter((each) => needed.has(each) && !expected.has(each))
        expect(block.at(-1)).toBe(expected.has(stage) ? undefined : stage)
        for (const each of block) expected.add(each)
      }
      expect(orderStages(graph)).toEqual([...expected])
    }),
  )
})

test('upstream and downstream mirror each other', () => {
  fc.assert(
    fc.property(acyclic, fc.nat(), fc.nat(), (stages, one, other) => {
      const graph = buildGraph(stages)
      const a = stages[one % stages.length]!
      const b = stages[other % stages.length]!
      expect(upstreamOf(graph, [a]).has(b)).toBe(downstreamOf(graph, [b]).has(a))
    }),
  )
})

test('one edge back from an ancestor to its descendant is always found as a circle', () => {
  fc.assert(
    fc.property(acyclic, fc.nat(), (stages, pick) => {
      const graph = buildGraph(stages)
      const last = stages[pick % stages.length]!
      const first = [...upstreamOf(graph, [last])].at(-1)!
      fc.pre(first !== last)
      const out = last.outs[0]!.path
      const bent = stages.map((stage) => (stage === first ? { ...stage, deps: [...stage.deps, { path: out, def: out }] } : stage))
      expect(() => buildGraph(bent)).toThrow(/Same item\(s\)/)
    }),
  )
})
