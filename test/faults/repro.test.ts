import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CAIRN, createWorkstation, type Workstation } from '../rig/project.ts'

let here: Workstation
let started: ChildProcess[] = []
const file = (name: string) => path.join(here.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
const write = (name: string, text: string) => writeFileSync(file(name), text)

/** Two stages; the second tells its pid and then waits until somebody lets it go. */
beforeEach(async () => {
  started = []
  here = createWorkstation()
  here.git('init', '--quiet')
  await here.cairn('init')
  write('in', 'one\n')
  write(
    'slow.sh',
    'echo $$ > slow.pid; cp first second.part; while [ ! -e go ]; do sleep 0.02; done; cat first first > second; rm second.part\n',
  )
  write('go', '')
  await here.cairn('run', '-f', 'first.dvc', '-d', 'in', '-o', 'first', 'cp in first')
  await here.cairn('run', '-f', 'second.dvc', '-d', 'first', '-o', 'second', 'sh slow.sh')
  rmSync(file('go'))
  rmSync(file('slow.pid'))
  write('in', 'two\n')
})
afterEach(() => {
  for (const child of started) child.kill('SIGKILL')
  if (existsSync(file('slow.pid'))) killIfThere(Number(read('slow.pid')))
  here.remove()
})

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function startRepro(): { child: ChildProcess; ended: Promise<{ code: number | null; signal: string | null; output: string }> } {
  const child = spawn(CAIRN, ['repro'], {
    cwd: here.dir,
    env: { ...process.env, ...here.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.push(child)
  let output = ''
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()))
  const ended = new Promise<{ code: number | null; signal: string | null; output: string }>((resolve) => {
    child.on('exit', (code, signal) => resolve({ code, signal, output }))
  })
  return { child, ended }
}

/** And until its paths are in the path locks, which they are a moment later. */
async function untilSlowRuns(): Promise<void> {
  const says = (name: string, text: string) => existsSync(file(name)) && read(name).includes(text)
  for (let turn = 0; turn < 500; turn++) {
    if (says('second.part', 'two\n') && says('.dvc/tmp/rwlock', JSON.stringify(file('second')))) return
    await sleep(20)
  }
  throw new Error('the slow stage did not start')
}

describe('two repro at once', () => {
  test('the second says who is in the way and exits with 255; the first is not disturbed', async () => {
    const { child, ended } = startRepro()
    await untilSlowRuns()
    const second = await here.tryCairn('repro')
    expect(second.code).toBe(255)
    expect(second.stderr).toContain(
      `failed to reproduce 'second.dvc': '${file('second')}' is busy, it is being blocked by:\n  (PID ${child.pid}): cairn repro`,
    )
    write('go', '')
    expect(await ended).toMatchObject({ code: 0 })
    expect(read('second')).toBe('two\ntwo\n')
    expect((await here.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
  })

  test('stages that share no path run beside each other', async () => {
    write('other', 'x')
    const { ended } = startRepro()
    await untilSlowRuns()
    await here.cairn('run', '-f', 'apart.dvc', '-d', 'other', '-o', 'apart', 'cp other apart')
    expect(read('apart')).toBe('x')
    write('go', '')
    expect(await ended).toMatchObject({ code: 0 })
    expect(JSON.parse(read('.dvc/tmp/rwlock'))).toEqual({})
  })
})

describe('a repro that is stopped', () => {
  test('by Ctrl-C during a command ends it, keeps what was done before, and leaves no lock', async () => {
    const before = read('second.dvc')
    const { child, ended } = startRepro()
    await untilSlowRuns()
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 252 })
    await expectGone(Number(read('slow.pid')))
    expect(read('second.dvc')).toBe(before)
    expect(JSON.parse(read('.dvc/tmp/rwlock'))).toEqual({})
    await expectToGoOn()
  })

  test('by kill -9 during a command goes on from there, with a word about the dead process', async () => {
    const { child, ended } = startRepro()
    await untilSlowRuns()
    child.kill('SIGKILL')
    await ended
    killIfThere(Number(read('slow.pid')))
    const done = await expectToGoOn()
    expect(done.stderr).toContain(
      `Process 'cairn repro' with (Pid ${child.pid}), in RWLock-file '${file('second')}' had been killed.`,
    )
    expect(JSON.parse(read('.dvc/tmp/rwlock'))).toEqual({})
  })

  test('by kill -9 at any moment is completed by the next one, with the bytes of an undisturbed run', async () => {
    write('go', '')
    for (let turn = 0; turn < 8; turn++) {
      write('in', `${turn}\n`)
      const { child, ended } = startRepro()
      // From before the first stage is looked at to after the last is written.
      await sleep(60 + turn * 60)
      child.kill('SIGKILL')
      await ended
      if (existsSync(file('slow.pid'))) killIfThere(Number(read('slow.pid')))
      rmSync(file('second.part'), { force: true })
      await here.cairn('repro')
      expect([read('first'), read('second')]).toEqual([`${turn}\n`, `${turn}\n${turn}\n`])
      expect((await here.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
    }
    for (const entry of readdirSync(file('.dvc/cache/files/md5'), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.name.endsWith('.tmp')) continue
      const bytes = readFileSync(path.join(entry.parentPath, entry.name))
      expect(path.basename(entry.parentPath) + entry.name).toBe(createHash('md5').update(bytes).digest('hex'))
    }
  })
})

async function expectGone(pid: number): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await sleep(20)
  }
  throw new Error(`process ${pid} is still there`)
}

/** The first stage is done, the second runs, and then everything is as after an undisturbed repro. */
async function expectToGoOn() {
  write('go', '')
  const done = await here.cairn('repro')
  expect(done.stdout).toContain("Stage 'first.dvc' didn't change.")
  expect(done.stdout).toContain("Reproducing 'second.dvc'")
  expect(read('second')).toBe('two\ntwo\n')
  expect((await here.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
  return done
}
