import { describe, expect, test } from 'vitest'
import { drawAscii, drawDot, drawMermaid } from './draw.ts'
import { buildGraph, linkStages } from './graph.ts'
import { picturesOf, type Subject } from './picture.ts'
import { makeStage } from './stage-for-tests.ts'

const stages = [
  makeStage('load.dvc', { cmd: 'python3 code/load.py', deps: ['config/load.json'], outs: ['data'] }),
  makeStage('train.dvc', { cmd: 'python3 code/train.py', deps: ['data'], outs: ['model/model.h5', 'model/log.csv'] }),
  makeStage('evaluate.dvc', { cmd: 'python3 -B code/ev.py', deps: ['model/model.h5', 'data'], outs: ['model/metrics.json'] }),
  makeStage('apart', { cmd: ['one', 'two'], outs: ['x'] }),
]
const pictures = (subject: Subject) => {
  const graph = buildGraph(stages)
  return picturesOf(graph, new Set(stages), subject)
}

describe('a picture of pipelines', () => {
  test('stands a chain of boxes one below the other, with an upright line between them', () => {
    const graph = buildGraph(stages.slice(0, 2))
    expect(drawAscii(picturesOf(graph, new Set(graph.stages), 'stages'))).toBe(
      [
        ' +----------+',
        ' | load.dvc |',
        ' +----------+',
        '      *',
        '      *',
        '+-----------+',
        '| train.dvc |',
        '+-----------+',
      ].join('\n'),
    )
  })

  test('draws every box whole and in the order of making, each pipeline by itself', () => {
    const text = drawAscii(pictures('stages'))
    const rows = ['| load.dvc |', '| train.dvc |', '| evaluate.dvc |', '| apart |'].map((box) =>
      text.split('\n').findIndex((row) => row.includes(box)),
    )
    expect(rows).not.toContain(-1)
    expect(rows).toEqual(rows.toSorted((a, b) => a - b))
  })

  test('labels the boxes with commands or outs on request', () => {
    expect(drawAscii(pictures('commands'))).toContain('| python3 -B code/ev.py |')
    expect(drawAscii(pictures('commands'))).toContain('| one; two |')
    expect(drawAscii(pictures('outs'))).toContain('| model/metrics.json |')
  })

  test('joins an out only with the outs that are made of it', () => {
    expect(drawDot(pictures('outs'))).not.toContain('"model/log.csv" ->')
    expect(drawDot(pictures('outs'))).toContain('"model/model.h5" -> "model/metrics.json";')
  })

  test('stays readable for a wide and a deep pipeline', () => {
    const wide = [
      ...['a', 'b', 'c', 'd', 'e'].map((name) => makeStage(name, { outs: [`out-${name}`] })),
      makeStage('join', { deps: ['out-a', 'out-b', 'out-c', 'out-d', 'out-e'], outs: ['joined'] }),
      makeStage('report', { deps: ['joined', 'out-a'], outs: ['page'] }),
    ]
    const graph = buildGraph(wide)
    const text = drawAscii(picturesOf(graph, new Set(wide), 'stages'))
    for (const { address } of wide) expect(text).toContain(`| ${address} |`)
    expect(Math.max(...text.split('\n').map((row) => row.length))).toBeLessThan(80)
  })

  test('writes dot and mermaid as dvc does', () => {
    const graph = buildGraph([makeStage('in.dvc', { outs: ['in'] }), makeStage('a', { deps: ['in'], outs: ['x'] })])
    const two = picturesOf(graph, new Set(graph.stages), 'stages')
    expect(drawDot(two)).toBe('strict digraph {\n"in.dvc";\n"a";\n"in.dvc" -> "a";\n}\n\n')
    expect(drawMermaid(two)).toBe('flowchart TD\n\tnode1["a"]\n\tnode2["in.dvc"]\n\tnode2-->node1')
  })

  test('draws the stages of a foreach as one box, and each arrow once', () => {
    const template = { group: 'fit', used: new Map() }
    const fit = (key: string) =>
      makeStage(`fit@${key}`, {
        file: 'sub/dvc.yaml',
        name: `fit@${key}`,
        kind: 'pipeline',
        template,
        deps: ['in'],
        outs: [`m.${key}`],
      })
    const load = makeStage('sub/load.dvc', { outs: ['in'] })
    const join = makeStage('join', { file: 'sub/dvc.yaml', name: 'join', kind: 'pipeline', deps: ['m.a', 'm.b'] })
    const graph = linkStages([load, fit('a'), fit('b'), join])
    const pictures = picturesOf(graph, new Set(graph.stages), 'stages', { cwd: 'sub', collapse: true })
    expect(drawMermaid(pictures)).toBe(
      'flowchart TD\n\tnode1["fit"]\n\tnode2["join"]\n\tnode3["load.dvc"]\n\tnode1-->node2\n\tnode3-->node1',
    )
  })
})
