import { describe, expect, test } from 'vitest'
import { buildGraph, downstreamOf, linkStages, orderStages, splitPipelines, upstreamOf } from './graph.ts'
import { makeStage } from './stage-for-tests.ts'

const names = (stages: Iterable<{ address: string }>) => [...stages].map((stage) => stage.address)

describe('the graph of stages', () => {
  const load = makeStage('load.dvc', { deps: ['code/load.py'], outs: ['images'] })
  const train = makeStage('train.dvc', { deps: ['images/cats', 'code/train.py'], outs: ['model/model.h5', 'model/log.csv'] })
  const evaluate = makeStage('evaluate.dvc', { deps: ['model'], outs: ['metrics.json'] })
  const other = makeStage('other.dvc', { deps: [], outs: ['elsewhere'] })

  test('links a dep to the out it equals, lies inside or contains', () => {
    const graph = buildGraph([evaluate, load, train, other])
    expect(names(graph.dependencies(evaluate))).toEqual(['train.dvc'])
    expect(names(graph.dependencies(train))).toEqual(['load.dvc'])
    expect(names(graph.dependents(load))).toEqual(['train.dvc'])
  })

  test('puts dependencies right before the first stage that needs them, and otherwise keeps the given order', () => {
    const graph = buildGraph([evaluate, other, load, train])
    const ordered = ['load.dvc', 'train.dvc', 'evaluate.dvc', 'other.dvc']
    expect(names(orderStages(graph))).toEqual(ordered)
    expect(names(orderStages(graph, new Set([other, train, load]), [other]))).toEqual(['other.dvc', 'load.dvc', 'train.dvc'])
  })

  test('orders a chain of twenty thousand stages', () => {
    const chain = Array.from({ length: 20_000 }, (_, place) =>
      makeStage(`${place}`, { deps: [`o${place + 1}`], outs: [`o${place}`] }),
    )
    expect(names(orderStages(linkStages(chain)))[0]).toBe('19999')
  })

  test('takes a name that merely begins the same for another path', () => {
    const graph = buildGraph([
      makeStage('a', { outs: ['out'] }),
      makeStage('b', { deps: ['output', 'out.txt', 'out-2'], outs: ['c'] }),
    ])
    expect(graph.dependencies(graph.stages[1]!)).toEqual([])
  })

  test('knows what lies upstream, downstream and in one pipeline', () => {
    const graph = buildGraph([load, train, evaluate, other])
    expect(names(upstreamOf(graph, [train]))).toEqual(['train.dvc', 'load.dvc'])
    expect(names(downstreamOf(graph, [train]))).toEqual(['train.dvc', 'evaluate.dvc'])
    expect(splitPipelines(graph).map(names)).toEqual([['load.dvc', 'train.dvc', 'evaluate.dvc'], ['other.dvc']])
  })

  test('cuts what lies before a frozen stage when asked to', () => {
    const frozen = { ...train, frozen: true }
    expect(names(upstreamOf(buildGraph([load, frozen, evaluate], { cutFrozen: true }), [frozen]))).toEqual(['train.dvc'])
    expect(names(upstreamOf(buildGraph([load, frozen, evaluate]), [frozen]))).toEqual(['train.dvc', 'load.dvc'])
  })

  test('does not take what an import downloads for a file of the workspace', () => {
    const imported = makeStage('data.dvc', { deps: ['images'], outs: ['copy'] })
    const graph = linkStages([
      load,
      { ...imported, deps: imported.deps.map((dep) => ({ ...dep, source: { repo: { url: '/srv/other' } } })) },
    ])
    expect(graph.dependencies(graph.stages[1]!)).toEqual([])
  })
})

describe('a graph is refused', () => {
  test('when two stages make the same out', () => {
    expect(() => buildGraph([makeStage('a', { outs: ['x'] }), makeStage('b', { outs: ['x'] })])).toThrow(
      "output 'x' is specified in:\n\t- a\n\t- b",
    )
  })

  test('when an out lies inside another', () => {
    const stages = [makeStage('t', { outs: ['dir/c'] }), makeStage('dir.dvc', { outs: ['dir'] })]
    expect(() => buildGraph(stages)).toThrow("The output paths:\n'dir'('dir.dvc')\n'dir/c'('t')\noverlap")
  })

  test('when two outs of one stage overlap', () => {
    expect(() => buildGraph([makeStage('t', { outs: ['dir', 'dir/c'] })])).toThrow('overlap')
  })

  test('when a stage reads what it makes', () => {
    expect(() => buildGraph([makeStage('t', { deps: ['x'], outs: ['x'] })])).toThrow(
      "'x' is specified as an output and as a dependency",
    )
    expect(() => buildGraph([makeStage('t', { deps: ['x/part'], outs: ['x'] })])).toThrow('in stages: t.')
  })

  test('when a path is given twice', () => {
    expect(() => buildGraph([makeStage('t', { deps: ['x', 'x'], outs: ['y'] })])).toThrow("file 'x' is specified more than once")
  })

  test('when stages form a circle, naming those in it and no others', () => {
    const stages = [
      makeStage('a', { deps: ['y'], outs: ['x'] }),
      makeStage('b', { deps: ['x'], outs: ['y'] }),
      makeStage('after', { deps: ['y'], outs: ['z'] }),
      makeStage('before', { outs: ['w'] }),
    ]
    expect(() => buildGraph(stages)).toThrow('Same item(s) are defined as both a dependency and an output in stages: a, b.')
  })
})
