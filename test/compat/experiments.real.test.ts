import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createWorkstation, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

let here: Workstation
const file = (name: string) => path.join(here.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
const write = (name: string, text: string) => writeFileSync(file(name), text)

async function dvc(...args: string[]) {
  const done = await run(realParts().dvc, args, { cwd: here.dir, env: { ...here.env, CI: '1' } })
  return { ...done, text: done.stdout + done.stderr }
}

const PIPELINE = `stages:
  train:
    cmd: sh train.sh
    deps: [train.sh]
    params: [lr]
    outs: [model]
    metrics:
    - m.json:
        cache: false
`

beforeEach(async () => {
  here = createWorkstation()
  here.git('init', '-q', '-b', 'main')
  await here.cairn('init')
  write('dvc.yaml', PIPELINE)
  write('params.yaml', 'lr: 1 # rate\nother: [1, 2]\n')
  write(
    'train.sh',
    'lr=$(sed -n "s/^lr: \\([0-9.]*\\).*/\\1/p" params.yaml); echo model $lr > model; echo "{\\"acc\\": $lr}" > m.json\n',
  )
  await here.cairn('repro')
  here.git('add', '-A')
  here.git('commit', '-qm', 'one')
})
afterEach(() => here.remove())

test.each(['--json', '--csv', '--md'])('exp show %s is the same whoever ran or queued the experiments', async (format) => {
  await here.cairn('exp', 'run', '-n', 'ours', '-S', 'lr=2.5')
  await dvc('exp', 'run', '-n', 'theirs', '-S', 'lr=3')
  await here.cairn('exp', 'run', '--queue', '-n', 'waiting', '-S', 'lr=4')
  const theirs = await dvc('exp', 'show', format)
  expect(theirs.stdout).toContain('waiting')
  expect((await here.cairn('exp', 'show', format)).stdout).toBe(theirs.stdout)
})

test('each applies what the other ran, and finds it clean', async () => {
  await here.cairn('exp', 'run', '-n', 'ours', '-S', 'lr=2')
  await dvc('exp', 'run', '-n', 'theirs', '-S', 'lr=3')
  expect((await dvc('exp', 'apply', 'ours')).code).toBe(0)
  expect([read('model'), (await dvc('status')).stdout]).toEqual(['model 2\n', 'Data and pipelines are up to date.\n'])
  await here.cairn('exp', 'apply', 'theirs')
  expect([read('model'), (await here.cairn('status')).stdout]).toEqual(['model 3\n', 'Data and pipelines are up to date.\n'])
  expect(read('params.yaml')).toMatch(/^lr: 3 # rate\n/)
})

test('cairn runs what dvc queued, and both see the same queue', async () => {
  await dvc('exp', 'run', '--queue', '-n', 'theirs', '-S', 'lr=6', 'train')
  await here.cairn('exp', 'run', '--queue', '-n', 'ours', '-S', 'lr=7')
  expect((await dvc('queue', 'status')).stdout).toMatch(/theirs.*Queued[\s\S]*ours.*Queued/)
  await here.cairn('exp', 'run', '--run-all')
  expect((await dvc('queue', 'status')).stdout).toContain('No experiment tasks in the queue.')
  expect((await dvc('exp', 'list', '--name-only')).stdout).toBe('ours\ntheirs\n')
})
