import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createWorkstation, type Workstation } from '../rig/project.ts'

let here: Workstation
const file = (name: string) => path.join(here.dir, name)
const write = (name: string, text: string) => {
  mkdirSync(path.dirname(file(name)), { recursive: true })
  writeFileSync(file(name), text)
}

const PIPELINE = `stages:
  fit:
    cmd: cp src.json m.json && cp src.csv loss.csv
    deps: [src.json, src.csv]
    params: [lr]
    metrics: [m.json]
    plots:
    - loss.csv:
        x: step
`

/** Two commits, `v1` and HEAD, whose metrics are in the cache only. */
beforeEach(async () => {
  here = createWorkstation()
  here.git('init', '-q', '-b', 'main')
  await here.cairn('init')
  write('dvc.yaml', PIPELINE)
  for (const version of [1, 2]) {
    write('src.json', `{"acc": ${version}.5, "n": {"loss": ${version}}}`)
    write('src.csv', `step,loss\n1,0.${version}\n`)
    write('params.yaml', `lr: ${version}\n`)
    await here.cairn('repro')
    here.git('add', '-A')
    here.git('commit', '-q', '-m', `version ${version}`)
    if (version === 1) here.git('tag', 'v1')
  }
})
afterEach(() => here.remove())

test('metrics and params of two commits are compared without a checkout', async () => {
  expect((await here.cairn('metrics', 'diff', 'v1', 'HEAD')).stdout).toBe(
    'Path    Metric    v1    HEAD    Change\nm.json  acc       1.5   2.5     1.0\nm.json  n.loss    1     2       1\n',
  )
  write('params.yaml', 'lr: 3\nnew: x\n')
  expect((await here.cairn('params', 'diff', 'v1', '--json')).stdout).toBe(
    '{"params.yaml": {"lr": {"old": 1, "new": 3, "diff": 2}, "new": {"old": null, "new": "x"}}}\n',
  )
  expect((await here.cairn('params', 'diff', '--deps')).stdout).toBe(
    'Path         Param    HEAD    workspace\nparams.yaml  lr       2       3\n',
  )
  expect((await here.tryCairn('metrics', 'diff', 'nosuch')).code).toBe(255)
  expect((await here.tryCairn('metrics', 'diff', '--precision', 'x')).code).toBe(254)
})

test('a metric that is nowhere is said to be missing, and the rest is shown', async () => {
  rmSync(file('.dvc/cache'), { recursive: true })
  const done = await here.cairn('metrics', 'show', '-T', '--json')
  expect(JSON.parse(done.stdout)).toEqual({
    workspace: { data: { 'm.json': { data: { acc: 2.5, n: { loss: 2 } } } } },
    v1: { data: { 'm.json': { error: { type: 'FileNotFoundError', msg: "[Errno 2] No storage files available: 'm.json'" } } } },
  })
  expect(done.stderr).toBe("DVC failed to load some metrics for following revisions: 'v1'.\n")
})

test('one commit with a broken dvc.yaml does not hide the others', async () => {
  write('dvc.yaml', 'stages: [')
  here.git('commit', '-q', '-a', '-m', 'broken')
  here.git('tag', 'v2')
  const done = await here.cairn('metrics', 'show', '-T')
  expect(done.stdout).toBe('Revision    Path    acc    n.loss\nv1          m.json  1.5    1\n')
  expect(done.stderr).toContain("failed to load metrics in revision 'v2', './dvc.yaml' is invalid")
})

test('plots of several commits are one page, and one specification', async () => {
  const done = await here.cairn('plots', 'diff', 'v1', '-t', 'simple')
  const page = file('dvc_plots/index.html')
  expect(done.stdout).toBe(`${pathToFileURL(page).href}\n`)
  expect(readFileSync(page, 'utf8')).toContain('{"step": "1", "loss": "0.1", "rev": "v1"}')
  const shown = await here.cairn('plots', 'diff', 'v1', '--targets', 'loss.csv', '--show-vega')
  const spec = JSON.parse(shown.stdout) as { data: unknown }
  expect(spec.data).toEqual({
    values: [
      { step: '1', loss: '0.2', rev: 'workspace' },
      { step: '1', loss: '0.1', rev: 'v1' },
    ],
  })
})

test('plots modify edits the stage, and refuses a template that is not there', async () => {
  await here.cairn('plots', 'modify', 'loss.csv', '-y', 'loss', '--title', 'Loss')
  expect(readFileSync(file('dvc.yaml'), 'utf8')).toBe(`${PIPELINE}        y: loss\n        title: Loss\n`)
  expect((await here.tryCairn('plots', 'modify', 'loss.csv', '-t', 'nosuch')).code).toBe(255)
  expect((await here.tryCairn('plots', 'diff', 'nosuch')).code).toBe(1)
  expect(existsSync(file('dvc_plots'))).toBe(false)
})
