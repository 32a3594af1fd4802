import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CAIRN, createWorkstation, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

let here: Workstation
const file = (name: string) => path.join(here.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
const write = (name: string, text: string) => writeFileSync(file(name), text)
const filedRuns = () => readdirSync(file('.dvc/cache/runs'), { recursive: true }).map(String).toSorted()

async function dvc(...args: string[]) {
  const done = await run(realParts().dvc, args, { cwd: here.dir, env: { ...here.env, CI: '1' } })
  return { ...done, text: done.stdout + done.stderr }
}

const PIPELINE = `stages:
  prepare:
    cmd: mkdir -p d && cp in.txt d/a && cp in.txt d/b
    deps: [in.txt]
    outs: [d]
  fit:
    cmd:
    - cat d/a d/b > model
    - 'echo "{\\"acc\\": 1.0}" > m.json'
    deps: [d]
    params: [lr, net.depth, p.json: [x]]
    outs: [model]
    metrics:
    - m.json:
        cache: false
`

beforeEach(async () => {
  here = createWorkstation()
  here.git('init', '-q')
  await here.cairn('init')
  write('dvc.yaml', PIPELINE)
  write('params.yaml', 'lr: 1.0\nnet:\n  depth: 3\n  f: 1e-5\n')
  write('p.json', '{"x": 2.0, "y": [1, 1.50]}')
  write('in.txt', 'hello\n')
})
afterEach(() => here.remove())

test('dvc finds clean what cairn reproduced, and files the same runs under the same names', async () => {
  await here.cairn('repro')
  expect((await dvc('status')).text).toBe('Data and pipelines are up to date.\n')
  const ours = { lock: read('dvc.lock'), runs: filedRuns() }
  rmSync(file('.dvc/cache/runs'), { recursive: true })
  expect((await dvc('repro', '--force')).code).toBe(0)
  expect({ lock: read('dvc.lock'), runs: filedRuns() }).toEqual(ours)
  expect((await here.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
})

test('each takes from the cache what the other ran', async () => {
  await here.cairn('repro')
  const lock = read('dvc.lock')
  rmSync(file('dvc.lock'))
  expect((await dvc('repro')).text).toContain("Stage 'fit' is cached - skipping run, checking out outputs")
  expect(read('dvc.lock')).toBe(lock)
  write('in.txt', 'bye\n')
  await dvc('repro')
  const later = read('dvc.lock')
  write('in.txt', 'hello\n')
  await dvc('repro')
  write('in.txt', 'bye\n')
  expect((await here.cairn('repro')).stdout).toContain("Stage 'fit' is cached - skipping run, checking out outputs")
  expect(read('dvc.lock')).toBe(later)
  expect((await dvc('status')).text).toBe('Data and pipelines are up to date.\n')
})

test('status tells the same', async () => {
  await here.cairn('repro')
  write('in.txt', 'other\n')
  write('params.yaml', 'lr: 2\n')
  rmSync(file('d'), { recursive: true })
  rmSync(file('m.json'))
  const theirs = await dvc('status')
  expect((await here.cairn('status')).stdout.split('\n').toSorted()).toEqual(theirs.stdout.split('\n').toSorted())
  const asJson = async (text: string) => JSON.parse(text) as unknown
  expect(await asJson((await here.cairn('status', '--json')).stdout)).toEqual(
    await asJson((await dvc('status', '--json')).stdout),
  )
})

test('each keeps off the paths that a command of the other uses', async () => {
  const slow = (started: string) =>
    `stages:\n  slow:\n    cmd: touch ${started}; while [ ! -e go ]; do sleep 0.05; done; cp in.txt slow\n    deps: [in.txt]\n    outs: [slow]\n`
  for (const [holder, other] of [
    [CAIRN, realParts().dvc],
    [realParts().dvc, CAIRN],
  ] as const) {
    for (const name of ['go', 'slow', 'dvc.lock', 'dvc.yaml', '.dvc/cache/runs'])
      rmSync(file(name), { recursive: true, force: true })
    const started = `started-${path.basename(holder)}`
    write('dvc.yaml', slow(started))
    const holding = spawn(holder, ['repro'], { cwd: here.dir, env: { ...process.env, ...here.env }, stdio: 'ignore' })
    const ended = new Promise((resolve) => holding.on('exit', resolve))
    while (!existsSync(file(started))) await sleep(50)
    const refused = await run(other, ['repro'], { cwd: here.dir, env: here.env })
    expect(refused.code).toBe(255)
    expect(refused.stderr).toContain(`is busy, it is being blocked by:\n  (PID ${holding.pid})`)
    write('go', '')
    expect(await ended).toBe(0)
    expect(read('slow')).toBe('hello\n')
  }
})
