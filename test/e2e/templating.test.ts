import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createWorkstation, type Workstation } from '../rig/project.ts'

let here: Workstation
const file = (name: string) => path.join(here.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
const write = (name: string, text: string) => {
  mkdirSync(path.dirname(file(name)), { recursive: true })
  writeFileSync(file(name), text)
}
const ran = (stdout: string) => [...stdout.matchAll(/^Running stage '(.*)':$/gm)].map((match) => match[1])

const PIPELINE = `# regions and models
vars:
- conf.json:suffix
- greeting: hello
stages:
  load:
    foreach: \${regions}   # in params.yaml
    do:
      cmd: echo \${greeting} \${key} \${item.size} > \${key}.\${suffix}
      params: ["regions.\${key}"]
      outs: ["\${key}.\${suffix}"]
  train:
    matrix:
      region: [us, gb]
      depth: [1, 2.0]
    cmd: cat \${item.region}.\${suffix} > m-\${key} && echo \${net} >> m-\${key}
    deps: ["\${item.region}.\${suffix}"]
    outs: ["m-\${key}"]
  note:
    cmd: echo note > n
    outs: [n]
`

beforeEach(async () => {
  here = createWorkstation()
  here.git('init', '--quiet')
  await here.cairn('init')
  write('dvc.yaml', PIPELINE)
  write('params.yaml', 'regions:\n  us: {size: 10}\n  gb: {size: 2.0}\nnet: {lr: 0.1, deep: true}\n')
  write('conf.json', '{"suffix": "txt", "other": 1}')
})
afterEach(() => here.remove())

test('a project of foreach, matrix and vars is made, stays made, and follows its params', async () => {
  const first = ran((await here.cairn('repro')).stdout)
  expect(first.toSorted()).toEqual(['load@gb', 'load@us', 'note', 'train@gb-1', 'train@gb-2.0', 'train@us-1', 'train@us-2.0'])
  expect(read('m-gb-2.0')).toBe('hello gb 2.0\n--lr 0.1 --deep\n')
  expect(read('dvc.lock')).toContain('  train@us-2.0:\n    cmd: cat us.txt > m-us-2.0 && echo --lr 0.1 --deep >> m-us-2.0\n')
  expect(read('dvc.yaml')).toBe(PIPELINE)
  expect(ran((await here.cairn('repro')).stdout)).toEqual([])
  expect((await here.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
  write('params.yaml', read('params.yaml').replace('size: 10', 'size: 11'))
  expect(ran((await here.cairn('repro')).stdout)).toEqual(['load@us', 'train@us-1', 'train@us-2.0'])
})

test('a group, one of its stages, and a stage by its file are targets', async () => {
  expect(ran((await here.cairn('repro', '-s', 'load')).stdout)).toEqual(['load@us', 'load@gb'])
  expect(ran((await here.cairn('repro', '-s', 'train@gb-2.0')).stdout)).toEqual(['train@gb-2.0'])
  expect(ran((await here.cairn('repro', '-f', '-s', 'dvc.yaml:load@us')).stdout)).toEqual(['load@us'])
  expect((await here.cairn('stage', 'list', 'train')).stdout).toContain('train@us-2.0  Outputs m-us-2.0\n')
})

test('what a template made is neither frozen nor removed, a plain stage beside it is', async () => {
  for (const command of ['freeze', 'remove']) {
    const refused = await here.tryCairn(command, 'load@us')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain("a parametrized stage: 'load@us'")
  }
  expect(read('dvc.yaml')).toBe(PIPELINE)
  await here.cairn('freeze', 'note')
  expect(read('dvc.yaml').replace('    frozen: true\n', '')).toBe(PIPELINE)
  await here.cairn('stage', 'add', '-f', '-n', 'load', 'echo', 'plain')
  expect(read('dvc.yaml')).toContain('  load:\n    cmd: echo plain\n  train:\n    matrix:\n')
})

test('a name that stands for nothing stops every command, with its place', async () => {
  write('dvc.yaml', PIPELINE.replace('${greeting}', '${greetings}'))
  for (const command of [['repro'], ['stage', 'list'], ['repro', 'note']]) {
    const refused = await here.tryCairn(...command)
    expect(refused.code).toBe(255)
    expect(refused.stderr).toContain(
      "ERROR: failed to parse 'stages.load@us.cmd' in 'dvc.yaml': Could not find 'greetings', line 9, column 12",
    )
  }
})
