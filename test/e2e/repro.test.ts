import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createWorkstation, type Workstation } from '../rig/project.ts'

let here: Workstation
const file = (name: string) => path.join(here.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
const write = (name: string, text: string) => {
  mkdirSync(path.dirname(file(name)), { recursive: true })
  writeFileSync(file(name), text)
}
/** Waits until every named file is there: each stage sees that the others run at the same time. */
const meet = (own: string, others: readonly string[]) =>
  `touch ${own}.here; n=0; while ! ls ${others.map((name) => `${name}.here`).join(' ')} >/dev/null 2>&1 && [ $n -lt 200 ]; do sleep 0.05; n=$((n+1)); done; [ $n -lt 200 ]`

beforeEach(async () => {
  here = createWorkstation()
  here.git('init', '--quiet')
  await here.cairn('init')
})
afterEach(() => here.remove())

const stage = (name: string, cmd: string, deps: readonly string[] = []) =>
  `  ${name}:\n    cmd:\n    - ${JSON.stringify(cmd)}\n${deps.length > 0 ? `    deps: [${deps.join(', ')}]\n` : ''}    outs: [${name}.o]\n`

describe('repro -j', () => {
  test('runs side by side what does not depend on each other, and keeps what each prints together', async () => {
    const three = ['a', 'b', 'c']
    const loud = three.map((name) =>
      stage(name, `${meet(name, three)} && echo one ${name} && sleep 0.1 && echo two ${name} > ${name}.o && cat ${name}.o`),
    )
    write('dvc.yaml', `stages:\n${loud.join('')}${stage('d', 'cat a.o b.o > d.o', ['a.o', 'b.o'])}`)
    const done = await here.cairn('repro', '-j', '3')
    for (const name of three)
      expect(done.stdout).toMatch(
        new RegExp(
          `Running stage '${name}':\n> .*\none ${name}\ntwo ${name}\n(Generating lock file 'dvc.lock'\n)?Updating lock file 'dvc.lock'\n\n`,
        ),
      )
    expect(read('d.o')).toBe('two a\ntwo b\n')
    // The lock file's order is the plan's, whichever ended first.
    expect(read('dvc.lock').match(/^ {2}\w+:$/gm)).toEqual(['  a:', '  b:', '  c:', '  d:'])
    expect((await here.cairn('repro', '-j', '3')).stdout).toContain('Data and pipelines are up to date.')
  })

  test('lets what is under way end after a failure, and starts nothing new', async () => {
    write(
      'dvc.yaml',
      `stages:\n${stage('bad', `${meet('bad', ['good'])}; exit 4`)}${stage('good', `${meet('good', ['bad'])}; sleep 0.3; echo > good.o`)}${stage('late', 'echo > late.o')}`,
    )
    const failed = await here.tryCairn('repro', '-j', '2')
    expect(failed.code).toBe(255)
    expect(failed.stderr).toContain("ERROR: failed to reproduce 'bad': failed to run:")
    expect(failed.stderr).toContain('exited with 4')
    expect(read('dvc.lock')).toContain('  good:\n')
    expect(existsSync(file('late.o'))).toBe(false)
    const kept = await here.tryCairn('repro', '-j', '2', '-k')
    expect(kept.code).toBe(255)
    expect(existsSync(file('late.o'))).toBe(true)
  })

  test('ends every command on an interruption, and leaves no path locked', async () => {
    write(
      'dvc.yaml',
      `stages:\n${stage('a', `${meet('a', ['b'])}; echo $$ > a.pid; exec sleep 60`)}${stage('b', `${meet('b', ['a'])}; echo $$ > b.pid; exec sleep 60`)}`,
    )
    const { child, ended } = here.start('repro', '-j', '2')
    while (!existsSync(file('a.pid')) || !existsSync(file('b.pid'))) await sleep(20)
    await sleep(50)
    child.kill('SIGINT')
    expect(await ended).toBe(252)
    for (const name of ['a', 'b']) expect(() => process.kill(Number(read(`${name}.pid`)), 0)).toThrow('ESRCH')
    expect(JSON.parse(read('.dvc/tmp/rwlock'))).toEqual({})
    expect(existsSync(file('dvc.lock'))).toBe(false)
  })

  test('is refused with anything but a number of 1 or more', async () => {
    write('dvc.yaml', `stages:\n${stage('a', 'echo > a.o')}`)
    expect(await here.tryCairn('repro', '-j', 'many')).toMatchObject({ code: 254, stderr: expect.stringContaining('-j/--jobs') })
  })
})

describe('repro --explain', () => {
  test('says why each stage would run, down to the file and the param, and runs nothing', async () => {
    write('data/x', '1\n')
    write('data/y', '1\n')
    write('params.yaml', 'lr: 1\n')
    await here.cairn('add', 'data')
    const pipeline = (cmd: string) => `stages:
  fit:
    cmd: ${cmd}
    deps: [data]
    params: [lr]
    outs: [model]
  test:
    cmd: cat model > score
    deps: [model]
    outs: [score]
  other:
    cmd: echo > other
    outs: [other]
`
    write('dvc.yaml', pipeline('cat data/* > model'))
    expect((await here.cairn('repro', '--explain', 'test')).stdout).toBe(
      "'data.dvc' is up to date\nStage 'fit' would run\n  it was never run\nStage 'test' would run\n  it was never run\n  'fit' comes first\n",
    )
    await here.cairn('repro')
    expect((await here.cairn('repro', '--explain')).stdout).toBe(
      "'data.dvc' is up to date\nStage 'fit' is up to date\nStage 'test' is up to date\nStage 'other' is up to date\n",
    )
    rmSync(file('data/y'))
    write('data/z', '3\n')
    rmSync(file('data/x'))
    write('data/x', '2\n')
    write('params.yaml', 'lr: 2.0\n')
    rmSync(file('other'))
    write('dvc.yaml', pipeline('cat data/? > model'))
    const lock = read('dvc.lock')
    const changes = '  \n    added:    z\n    modified: x\n    deleted:  y\n'.replace('  \n', '')
    expect((await here.cairn('repro', '--explain')).stdout).toBe(
      `'data.dvc' would be taken up again\n  out 'data' changed\n${changes}` +
        `Stage 'fit' would run\n  dep 'data' changed\n${changes}  param 'lr' of 'params.yaml': 1 -> 2.0\n  command changed:\n    - cat data/* > model\n    + cat data/? > model\n` +
        "Stage 'test' would run if what it reads changes\n  'fit' comes first\n" +
        "Stage 'other' would get its outputs back from the cache\n  out 'other' is missing\n",
    )
    const json = JSON.parse((await here.cairn('repro', '--explain', '--json', '-s', 'fit')).stdout) as unknown
    expect(json).toEqual({
      stages: [
        {
          stage: 'fit',
          verdict: 'run',
          reasons: [
            { kind: 'dep', path: 'data', state: 'modified', files: { added: ['z'], modified: ['x'], deleted: ['y'], total: 3 } },
            { kind: 'param', file: 'params.yaml', key: 'lr', state: 'modified', before: 1, now: 2 },
            { kind: 'command', before: 'cat data/* > model', now: 'cat data/? > model' },
          ],
        },
      ],
    })
    expect(read('dvc.lock')).toBe(lock)
    expect((await here.cairn('repro', '--explain', '-f', '-s', 'other')).stdout).toContain("Stage 'other' would run\n  forced\n")
  })
})

describe('repro', () => {
  test('takes patterns and groups for targets, and a pattern that fits nothing for a mistake', async () => {
    write(
      'dvc.yaml',
      'stages:\n  fit:\n    foreach: [eu, us]\n    do:\n      cmd: echo ${item} > ${item}\n      outs:\n      - ${item}\n  other:\n    cmd: echo > o\n    outs: [o]\n',
    )
    expect((await here.cairn('repro', '--glob', '*@u*')).stdout).toMatch(/^Running stage 'fit@us'/)
    expect((await here.cairn('repro', 'fit')).stdout).toContain("Running stage 'fit@eu'")
    expect(existsSync(file('o'))).toBe(false)
    expect(await here.tryCairn('repro', '--glob', 'x*')).toMatchObject({
      code: 255,
      stderr: expect.stringContaining("matches 'x*'"),
    })
    expect(await here.tryCairn('repro', 'nosuch')).toMatchObject({
      code: 255,
      stderr: expect.stringContaining("Stage 'nosuch' not found inside 'dvc.yaml' file"),
    })
  })

  test('pulls what is missing instead of making it again', async () => {
    write('in', '1\n')
    await here.cairn('add', 'in')
    write(
      'dvc.yaml',
      `stages:\n${stage('a', 'echo a >> runs; cp in a.o', ['in'])}${stage('b', 'echo b >> runs; cp a.o b.o', ['a.o'])}`,
    )
    await here.cairn('repro')
    await here.cairn('remote', 'add', '-d', 'there', path.join(here.home, 'remote'))
    await here.cairn('push')
    for (const name of ['in', 'a.o', 'b.o', '.dvc/cache']) rmSync(file(name), { recursive: true, force: true })
    const pulled = await here.cairn('repro', '--pull')
    expect(pulled.stdout).toContain("Pulling data for stage: 'in.dvc'\n")
    expect([read('runs'), read('b.o')]).toEqual(['a\nb\n', '1\n'])
    // Only what b needs comes when a changed command makes it run.
    for (const name of ['in', 'a.o', 'b.o', '.dvc/cache']) rmSync(file(name), { recursive: true, force: true })
    write('dvc.yaml', read('dvc.yaml').replace('cp a.o b.o', 'cat a.o > b.o'))
    await here.cairn('repro', '--pull', '--allow-missing')
    expect([read('runs'), existsSync(file('in'))]).toEqual(['a\nb\nb\n', false])
  })

  test('--ignore-errors goes on with everything, and -i where nobody can answer with nothing', async () => {
    write('dvc.yaml', `stages:\n${stage('a', 'exit 3')}${stage('b', 'echo > b.o')}`)
    const ignored = await here.cairn('repro', '--ignore-errors')
    expect(ignored.stderr).toContain('exited with 3 (ignored)')
    expect(existsSync(file('b.o'))).toBe(true)
    expect(await here.tryCairn('repro', '-i')).toMatchObject({
      code: 255,
      stderr: expect.stringContaining("failed to reproduce 'a': reproduction aborted by the user"),
    })
  })
})

test('freeze takes several targets, does what it can and fails for the others', async () => {
  write('dvc.yaml', `stages:\n${stage('a', 'echo > a.o')}${stage('b', 'echo > b.o')}`)
  const done = await here.tryCairn('freeze', 'a', 'nosuch', 'b')
  expect(done).toMatchObject({ code: 1, stdout: "Modifying stage 'a' in 'dvc.yaml'\nModifying stage 'b' in 'dvc.yaml'\n" })
  expect(done.stderr).toContain("ERROR: failed to freeze 'nosuch' - Stage 'nosuch' not found inside 'dvc.yaml' file")
  expect((await here.cairn('unfreeze', 'a', 'b')).code).toBe(0)
  expect(read('dvc.yaml')).not.toContain('frozen')
})

test('stage list goes around a file that cannot be read, unless it is asked for or --fail is given', async () => {
  write('dvc.yaml', `stages:\n${stage('a', 'echo > a.o')}`)
  write('sub/dvc.yaml', 'stages: [')
  expect((await here.cairn('stage', 'list', '--all')).stdout).toBe('a  Outputs a.o\n')
  for (const args of [['--all', '--fail'], ['sub/dvc.yaml']])
    expect((await here.tryCairn('stage', 'list', ...args)).code, args.join(' ')).toBe(255)
})

test('a dry run goes on with what depends on a stage that would run', async () => {
  write('in', 'one\n')
  write('dvc.yaml', `stages:\n${stage('a', 'cp in a.o', ['in'])}${stage('b', 'cp a.o b.o', ['a.o'])}${stage('c', 'echo > c.o')}`)
  await here.cairn('repro')
  write('in', 'two\n')
  const dry = await here.cairn('repro', '--dry')
  expect(dry.stdout).toMatch(/Running stage 'a':\n> cp in a\.o\n\nRunning stage 'b':\n> cp a\.o b\.o\n/)
  expect(dry.stdout).toContain("Stage 'c' didn't change, skipping\n")
  expect(read('b.o')).toBe('one\n')
})
