import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createWorkstation, type Workstation } from '../rig/project.ts'

let here: Workstation
const file = (name: string) => path.join(here.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
const write = (name: string, text: string) => writeFileSync(file(name), text)

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

const TRAIN =
  'lr=$(sed -n "s/^lr: \\([0-9.]*\\).*/\\1/p" params.yaml); echo model $lr > model; echo "{\\"acc\\": $lr}" > m.json\n'

beforeEach(async () => {
  here = createWorkstation()
  here.git('init', '-q', '-b', 'main')
  await here.cairn('init')
  write('dvc.yaml', PIPELINE)
  write('params.yaml', 'lr: 1 # rate\n')
  write('train.sh', TRAIN)
  await here.cairn('repro')
  here.git('add', '-A')
  here.git('commit', '-qm', 'one')
})
afterEach(() => here.remove())

test('an experiment is a commit aside of the branch, and comes back by its name', async () => {
  const head = here.git('rev-parse', 'HEAD')
  await here.cairn('exp', 'run', '-n', 'two', '-S', 'lr=2')
  expect(read('params.yaml')).toBe('lr: 2 # rate\n')
  expect(here.git('rev-parse', 'HEAD')).toBe(head)
  expect(here.git('rev-parse', `refs/exps/${head.slice(0, 2)}/${head.slice(2)}/two^`)).toBe(head)
  await here.cairn('exp', 'run', '-n', 'three', '-S', 'lr=3')
  await here.cairn('exp', 'apply', 'two')
  expect([read('model'), read('m.json')]).toEqual(['model 2\n', '{"acc": 2}\n'])
  const { metrics } = JSON.parse((await here.cairn('exp', 'diff', 'two', 'three', '--json')).stdout) as { metrics: unknown }
  expect(metrics).toEqual({ 'm.json': { acc: { old: 2, new: 3, diff: 1 } } })
  await here.cairn('exp', 'rename', 'two', 'deux')
  await here.cairn('exp', 'remove', 'three')
  expect((await here.cairn('exp', 'list', '--name-only')).stdout).toBe('deux\n')
})

test('what fails leaves the workspace as it was', async () => {
  write('train.sh', 'echo partial > m.json; exit 3\n')
  const before = here.git('status', '--short')
  const failed = await here.tryCairn('exp', 'run', '-S', 'lr=2')
  expect(failed.code).toBe(255)
  expect([read('params.yaml'), read('model'), read('m.json')]).toEqual(['lr: 1 # rate\n', 'model 1\n', '{"acc": 1}\n'])
  expect(here.git('status', '--short')).toBe(before)
  expect((await here.cairn('exp', 'list')).stdout).toBe('')
})

test('queued experiments run beside the workspace, which stays as it is', async () => {
  await here.cairn('exp', 'run', '--queue', '-S', 'lr=4,5')
  await here.cairn('exp', 'run', '--run-all', '-j', '2')
  expect(read('params.yaml')).toBe('lr: 1 # rate\n')
  const csv = (await here.cairn('exp', 'show', '--csv')).stdout.split('\r\n').slice(3, 5)
  expect(csv.map((line) => line.split(',')[5]).toSorted()).toEqual(['4', '5'])
  expect(existsSync(file('.dvc/tmp/exps/cairn-1-0'))).toBe(false)
  expect(here.git('worktree', 'list').split('\n')).toHaveLength(1)
  expect((await here.cairn('exp', 'run', '--run-all')).stdout).toBe('No experiments to run.\n')
})

test('experiments travel over a Git remote with the content of their outputs', async () => {
  here.git('init', '-q', '--bare', path.join(here.home, 'remote.git'))
  here.git('remote', 'add', 'origin', path.join(here.home, 'remote.git'))
  await here.cairn('remote', 'add', '-d', 'store', path.join(here.home, 'store'))
  here.git('commit', '-qam', 'remote')
  await here.cairn('exp', 'run', '-n', 'two', '-S', 'lr=2')
  expect((await here.cairn('exp', 'push', 'origin', 'two')).stdout).toContain("Pushed experiment two to Git remote 'origin'.")
  await here.cairn('exp', 'remove', 'two')
  await here.cairn('exp', 'pull', 'origin', 'two')
  expect((await here.cairn('exp', 'list', '--name-only')).stdout).toBe('two\n')
})

test('--pull brings the outs and the run cache from the remote instead of running', async () => {
  await here.cairn('remote', 'add', '-d', 'store', path.join(here.home, 'store'))
  here.git('commit', '-qam', 'remote')
  await here.cairn('exp', 'run', '-n', 'two', '-S', 'lr=2')
  await here.cairn('push', '--run-cache')
  here.git('checkout', '-q', '--', '.')
  for (const gone of ['.dvc/cache', 'model']) rmSync(file(gone), { recursive: true })
  const again = await here.cairn('exp', 'run', '--pull', '-n', 'again', '-S', 'lr=2')
  expect(again.stdout).toContain("Stage 'train' is cached - skipping run, checking out outputs")
  expect(read('model')).toBe('model 2\n')
})

test('--temp takes what Git does not keep along when it is named, and --ignore-errors keeps what came of it', async () => {
  write('.git/info/exclude', 'secret\n')
  write('secret', 'hidden\n')
  write('train.sh', 'cp secret model; echo "{}" > m.json\n')
  here.git('commit', '-qam', 'two')
  expect((await here.tryCairn('exp', 'run', '--temp', '-n', 'without')).code).toBe(255)
  await here.cairn('exp', 'run', '--temp', '-C', 'secret', '-n', 'with')
  await here.cairn('exp', 'apply', 'with')
  expect(read('model')).toBe('hidden\n')
  expect((await here.tryCairn('exp', 'run', '--temp', '-C', '../elsewhere')).stderr).toContain('is no path of this repository')

  here.git('checkout', '-q', '--', '.')
  write('train.sh', 'exit 3\n')
  await here.cairn('exp', 'run', '--ignore-errors', '-n', 'failing')
  expect((await here.cairn('exp', 'list', '--name-only')).stdout.split('\n')).toContain('failing')
})
