import { expect, test } from 'vitest'
import type { FileTree } from '../repo/file-tree.ts'
import { addressFrom } from './find-targets.ts'
import { findTargets, loadStages } from './load.ts'
import type { Stage } from './stage.ts'

const tree = (files: Record<string, string>): FileTree => ({
  rev: 'workspace',
  read: (path) => Promise.resolve(files[path] === undefined ? undefined : Buffer.from(files[path])),
  stageFiles: () => Promise.resolve(Object.keys(files).toSorted()),
})

const added = (path: string) => `outs:\n- md5: d3b07384d113edec49eaa6238ad5ff00\n  size: 4\n  hash: md5\n  path: ${path}\n`

const load = (): Promise<Stage[]> =>
  loadStages(
    tree({
      'dvc.yaml':
        'stages:\n  prep:\n    cmd: a\n    deps: [raw]\n    outs: [data]\n  train:\n    cmd: b\n    deps: [data/x]\n    outs: [model]\n',
      'raw.dvc': added('raw'),
      'sub/dvc.yaml': 'stages:\n  report:\n    cmd: c\n    deps: [../model]\n    outs: [r.html]\n',
      'sub/y.dvc': added('y'),
      Dvcfile: 'cmd: z\nouts:\n- path: z\nwdir: .\n',
    }),
  )

const names = async (targets: string[], cwd = '', options = {}) =>
  findTargets(await load(), targets, cwd, options).map((target) =>
    [target.stage.address, target.out?.path, target.inside].filter((part) => part !== undefined).join(' '),
  )

test('every stage of every file is loaded, files in order, stages in the order of their file', async () => {
  expect((await load()).map((stage) => stage.address)).toEqual([
    'Dvcfile',
    'prep',
    'train',
    'raw.dvc',
    'sub/dvc.yaml:report',
    'sub/y.dvc',
  ])
})

test('stage files inside of a tracked directory are its content, even broken ones', async () => {
  const stages = await loadStages(tree({ 'data.dvc': added('data'), 'data/x.dvc': 'foo: [', 'other.dvc': added('other') }))
  expect(stages.map((stage) => stage.address)).toEqual(['data.dvc', 'other.dvc'])
})

test('a target is a stage, a file, an address, an output or a path inside of one', async () => {
  expect(await names(['train'])).toEqual(['train'])
  expect(await names(['raw.dvc'])).toEqual(['raw.dvc'])
  expect(await names(['Dvcfile'])).toEqual(['Dvcfile'])
  expect(await names(['dvc.yaml'])).toEqual(['prep', 'train'])
  expect(await names(['dvc.yaml:train'])).toEqual(['train'])
  expect(await names([':train'])).toEqual(['train'])
  expect(await names(['sub/dvc.yaml:report'])).toEqual(['sub/dvc.yaml:report'])
  expect(await names(['sub:report'])).toEqual(['sub/dvc.yaml:report'])
  expect(await names(['data'])).toEqual(['prep data'])
  expect(await names(['data/a/b.txt'])).toEqual(['prep data a/b.txt'])
  expect(await names(['./raw/'])).toEqual(['raw.dvc raw'])
  expect(await names([])).toHaveLength(6)
})

test('targets are seen from the folder of the person', async () => {
  expect(await names(['report'], 'sub')).toEqual(['sub/dvc.yaml:report'])
  expect(await names(['../model'], 'sub')).toEqual(['train model'])
  expect(await names(['../dvc.yaml:prep'], 'sub')).toEqual(['prep'])
  expect(await names(['y.dvc', 'y'], 'sub')).toEqual(['sub/y.dvc'])
  const [report] = findTargets(await load(), ['report'], 'sub')
  expect(report && addressFrom(report.stage, 'sub')).toBe('report')
  expect(report && addressFrom(report.stage, 'other')).toBe('../sub/dvc.yaml:report')
})

test('with dependencies come the stages before, in the order they run', async () => {
  expect(await names(['sub:report'], '', { withDeps: true })).toEqual(['raw.dvc', 'prep', 'train', 'sub/dvc.yaml:report'])
})

test('a folder stands for what is below it only when asked to', async () => {
  expect(await names(['sub'], '', { recursive: true })).toEqual(['sub/dvc.yaml:report', 'sub/y.dvc'])
  await expect(names(['sub'])).rejects.toThrow(
    `'sub' does not exist as an output or a stage name in 'dvc.yaml': Stage 'sub' not found inside 'dvc.yaml' file`,
  )
})

test('what is unknown is named in the words of dvc', async () => {
  await expect(names(['nope'])).rejects.toThrow(
    `'nope' does not exist as an output or a stage name in 'dvc.yaml': Stage 'nope' not found inside 'dvc.yaml' file`,
  )
  await expect(names(['nope'], 'empty')).rejects.toThrow(
    `'nope' does not exist as an output or a stage name in 'dvc.yaml': 'dvc.yaml' does not exist`,
  )
  await expect(names(['nope.dvc'])).rejects.toThrow(`'nope.dvc' does not exist`)
  await expect(names(['/etc/raw'])).rejects.toThrow(`'/etc/raw' does not exist as an output`)
  await expect(names(['../raw'])).rejects.toThrow(`'../raw' does not exist as an output`)
})
