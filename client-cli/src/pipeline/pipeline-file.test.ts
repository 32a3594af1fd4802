import { describe, expect, test } from 'vitest'
import { removeFromPipelineFile, updatePipelineFile } from './pipeline-edit.ts'
import { parsePipeline, parsePipelineFile } from './pipeline-file.ts'
import type { Stage } from './stage.ts'

const PREP = `stages:
  prep:
    desc: 'some desc: with colon'
    cmd: "mkdir -p out && cp in.txt out/data && for f in nc.txt keep.txt keepnc.txt;
      do echo $f > $f; done; echo '{\\"acc\\": 0.5}' > m.json"
    deps:
    - in.txt
    - src
    params:
    - nested.lr
    - p
    - p2.json:
      - a.b
    - p3.toml:
    outs:
    - keep.txt:
        persist: true
    - keepnc.txt:
        cache: false
        persist: true
    - nc.txt:
        cache: false
    - out/data
    metrics:
    - m.json
    - mnc.json:
        cache: false
    plots:
    - pl.csv
    always_changed: true
`

const parse = (text: string, file = 'dvc.yaml') => parsePipelineFile(text, file, undefined)
const only = (text: string, file?: string): Stage => {
  const [stage] = parse(text, file)
  if (!stage) throw new Error('no stage')
  return stage
}

test('a new stage is written with the bytes dvc writes', () => {
  expect(updatePipelineFile(undefined, only(PREP))).toBe(PREP)
})

test('a stage knows its flags, its params and its folder', () => {
  const stage = only(PREP, 'sub/dvc.yaml')
  expect(stage).toMatchObject({
    address: 'sub/dvc.yaml:prep',
    name: 'prep',
    kind: 'pipeline',
    wdir: 'sub',
    alwaysChanged: true,
    frozen: false,
  })
  expect(stage.params.map(({ path, keys }) => [path, keys])).toEqual([
    ['sub/params.yaml', ['nested.lr', 'p']],
    ['sub/p2.json', ['a.b']],
    ['sub/p3.toml', []],
  ])
  expect(stage.outs.filter((out) => out.metric).map((out) => [out.path, out.cache])).toEqual([
    ['sub/m.json', true],
    ['sub/mnc.json', false],
  ])
  expect(stage.outs.find((out) => out.plot)?.path).toBe('sub/pl.csv')
})

describe('editing', () => {
  const text = `# our pipeline
vars_of_ours: &x 1
stages:
  a:   # first
    cmd: |
      echo one
      echo two
    outs: [o1, o2]

  b:
    cmd: echo b   # says b
`.replace('vars_of_ours: &x 1\n', '')

  test('a stage that says the same leaves the file alone', () => {
    for (const stage of parse(text)) expect(updatePipelineFile(text, stage)).toBe(text)
    expect(updatePipelineFile(PREP, only(PREP))).toBe(PREP)
  })

  test('only the stage that changes is edited; comments and blocks survive', () => {
    const [, b] = parse(text)
    const edited = updatePipelineFile(text, { ...(b as Stage), frozen: true })
    expect(edited).toBe(`${text}    frozen: true\n`)
    expect(parse(edited)[1]?.frozen).toBe(true)
  })

  test('the order of commands is kept as given', () => {
    const list = 'stages:\n  a:\n    cmd:\n    - one\n    - two\n'
    expect(updatePipelineFile(list, { ...only(list), cmd: ['two', 'one'] })).toBe(
      'stages:\n  a:\n    cmd:\n    - two\n    - one\n',
    )
  })

  test('a stage is removed, the last one with its file', () => {
    expect(removeFromPipelineFile('stages:\n  a:\n    cmd: a\n  meta:\n    cmd: b\n', 'dvc.yaml', 'meta')).toBe(
      'stages:\n  a:\n    cmd: a\n',
    )
    expect(removeFromPipelineFile(PREP, 'dvc.yaml', 'prep')).toBeUndefined()
    expect(removeFromPipelineFile(`metrics:\n- m.json\n${PREP}`, 'dvc.yaml', 'prep')).toBe('metrics:\n- m.json\n')
  })

  test('a literal ${ is escaped in the file', () => {
    const stage = only('stages:\n  a:\n    cmd: echo \\${HOME}\n')
    expect(stage.cmd).toBe('echo ${HOME}')
    expect(updatePipelineFile(undefined, stage)).toBe('stages:\n  a:\n    cmd: echo \\${HOME}\n')
  })
})

test('lists at the top are root-relative', () => {
  const file = parsePipeline('params:\n- p.yaml\nmetrics:\n- m\nplots:\n- a.csv\n- b.csv:\n    x: n\n', 'sub/dvc.yaml', undefined)
  expect(file).toMatchObject({
    stages: [],
    params: ['sub/p.yaml'],
    metrics: ['sub/m'],
    plots: [{ id: 'sub/a.csv' }, { id: 'sub/b.csv', properties: { x: 'n' } }],
  })
})

test.each([
  ['stages:\n  s:\n    cmd: 5\n', `'./dvc.yaml' validation failed: expected str, in stages -> s -> cmd, line 3, column 10`],
  ['stages:\n  s:\n    deps: [a]\n', `required key 'cmd' not provided, in stages -> s`],
  ['stages:\n  s:\n    cmd: a\n    foo: 1\n', 'extra keys not allowed, in stages -> s -> foo'],
  ['foo: 1\n', 'extra keys not allowed, in foo'],
  ['stages:\n  s:\n    cmd: a\n    outs:\n    - x\n    metrics:\n    - x\n', 'specified more than once'],
  ['stages:\n  s:\n    cmd: a\n    outs:\n    - ../x\n', 'outside of the repository'],
  ['stages:\n  s:\n    cmd: a\n    outs:\n    - x:\n        template: t\n', 'extra keys not allowed'],
])('%j is refused in one line', (text, message) => {
  expect(() => parse(text)).toThrow(message)
})
