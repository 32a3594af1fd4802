import { lstatSync, chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createWorkstation, type Workstation } from '../rig/project.ts'

let here: Workstation
const file = (name: string) => path.join(here.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
const write = (name: string, text: string) => {
  mkdirSync(path.dirname(file(name)), { recursive: true })
  writeFileSync(file(name), text)
}
/** How often a stage's command ran: each run leaves a line. */
const runs = (name: string) => (existsSync(file(`${name}.runs`)) ? read(`${name}.runs`).length : 0)

beforeEach(async () => {
  here = createWorkstation()
  here.git('init', '--quiet')
  await here.cairn('init')
})
afterEach(() => here.remove())

/** load (words -> data/), train (data -> model/model.txt, log), evaluate (model -> metrics), as `run` makes them. */
async function makePipeline(): Promise<void> {
  write('code/load.sh', 'echo >> load.runs; mkdir -p data; for word in $(cat words.txt); do echo $word > data/$word.txt; done\n')
  write('code/train.sh', 'echo >> train.runs; mkdir -p model; cat data/*.txt > model/model.txt; echo trained > model/log.csv\n')
  write('code/evaluate.sh', 'echo >> evaluate.runs; printf \'{"acc": %s}\' $(wc -l < model/model.txt) > model/metrics.json\n')
  write('words.txt', 'one two three\n')
  await here.cairn('run', '-f', 'load.dvc', '-d', 'words.txt', '-d', 'code/load.sh', '-o', 'data', 'sh', 'code/load.sh')
  await here.cairn(
    'run',
    '-f',
    'train.dvc',
    '-d',
    'data',
    '-d',
    'code/train.sh',
    '-o',
    'model/model.txt',
    '-O',
    'model/log.csv',
    'sh code/train.sh',
  )
  await here.cairn(
    'run',
    '-f',
    'evaluate.dvc',
    '-d',
    'model/model.txt',
    '-d',
    'code/evaluate.sh',
    '-M',
    'model/metrics.json',
    'sh code/evaluate.sh',
  )
}

describe('run', () => {
  test('runs the command at once, records the stage, keeps outs in the cache and ignores them in Git', async () => {
    write('words.txt', 'one two\n')
    const done = await here.cairn(
      'run',
      '-f',
      'load.dvc',
      '-d',
      'words.txt',
      '-o',
      'out/data',
      '-M',
      'm.json',
      'mkdir -p out && cp words.txt out/data && echo 1 > m.json && echo loud',
    )
    expect(done.stdout).toContain('loud\n')
    const text = read('load.dvc')
    expect(text.replace(/^md5: [0-9a-f]{32}$/m, 'md5: OWN'))
      .toBe(`cmd: mkdir -p out && cp words.txt out/data && echo 1 > m.json && echo loud
deps:
- hash: md5
  md5: d93a8e472924b95f416914d2fe376747
  path: words.txt
  size: 8
md5: OWN
outs:
- cache: true
  hash: md5
  md5: d93a8e472924b95f416914d2fe376747
  metric: false
  path: out/data
  size: 8
- cache: false
  hash: md5
  md5: b026324c6904b2a9cb4b88d6d61c81d1
  metric: true
  path: m.json
  size: 2
wdir: .
`)
    expect(read('out/.gitignore')).toBe('/data\n')
    expect((await here.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
  })

  test('takes everything after its options for the command', async () => {
    write('a file', 'text\n')
    await here.cairn('run', '-o', 'x', 'cat', '-n', 'a file', '--squeeze-blank', '>', 'x')
    expect(read('x')).toContain('text')
    expect(read('x.dvc')).toContain('cmd: cat -n "a file" --squeeze-blank > x\n')
  })

  test('fails with the command named and writes no stage file when the command fails or an out is not made', async () => {
    const failed = await here.tryCairn('run', '-f', 'a.dvc', '-o', 'x', 'exit 3')
    expect(failed).toMatchObject({ code: 255, stderr: expect.stringContaining('failed to run: exit 3, exited with 3') })
    const missing = await here.tryCairn('run', '-f', 'a.dvc', '-o', 'x', 'true')
    expect(missing).toMatchObject({ code: 255, stderr: expect.stringContaining("output 'x' does not exist") })
    const dep = await here.tryCairn('run', '-f', 'a.dvc', '-d', 'nosuch', '-o', 'x', 'echo > x')
    expect(dep).toMatchObject({ code: 255, stderr: expect.stringContaining("dependency 'nosuch' does not exist") })
    expect(existsSync(file('a.dvc'))).toBe(false)
    expect(existsSync(file('x'))).toBe(false)
  })

  test('refuses circles, shared and overlapping outs before anything runs', async () => {
    await here.cairn('run', '-f', 'a.dvc', '-o', 'dir', 'mkdir dir && echo > dir/x')
    const shared = await here.tryCairn('run', '-f', 'b.dvc', '-o', 'dir', 'touch ran')
    expect(shared).toMatchObject({ code: 255, stderr: expect.stringContaining("output 'dir' is specified in") })
    const inside = await here.tryCairn('run', '-f', 'b.dvc', '-o', 'dir/y', 'touch ran')
    expect(inside).toMatchObject({ code: 255, stderr: expect.stringContaining('overlap') })
    const circle = await here.tryCairn('run', '-f', 'a.dvc', '-d', 'dir/x', '-o', 'dir', 'touch ran')
    expect(circle).toMatchObject({ code: 255, stderr: expect.stringContaining('both a dependency and an output') })
    expect(existsSync(file('ran'))).toBe(false)
    expect(read('dir/x')).toBe('\n')
  })

  test('without a change does not run again; with one replaces the stage file with a warning', async () => {
    write('in', '1\n')
    const run = () => here.cairn('run', '-f', 'a.dvc', '-d', 'in', '-o', 'x', 'echo >> a.runs; cp in x')
    await run()
    expect((await run()).stdout).toContain("Stage 'a.dvc' didn't change, skipping")
    expect(runs('a')).toBe(1)
    write('in', '2\n')
    expect((await run()).stderr).toContain("'a.dvc' already exists and is overwritten")
    expect(read('x')).toBe('2\n')
  })

  test('runs in -w, to which paths are relative; --no-exec only writes the file', async () => {
    write('sub/in', 'text\n')
    await here.cairn('run', '-f', 'a.dvc', '-w', 'sub', '-d', 'in', '-o', 'x', 'cp in x')
    expect(read('sub/x')).toBe('text\n')
    expect(read('a.dvc')).toContain('wdir: sub')
    expect(read('sub/.gitignore')).toBe('/x\n')
    await here.cairn('run', '--no-exec', '-f', 'b.dvc', '-d', 'nosuch', '-o', 'y', 'false')
    expect(read('b.dvc')).toMatch(/^cmd: .?false/)
    expect((await here.cairn('status', 'b.dvc')).stdout).toBe(
      'b.dvc:\n\tchanged deps:\n\t\tdeleted:            nosuch\n\tchanged outs:\n\t\tdeleted:            y\n',
    )
  })
})

describe('repro', () => {
  test('runs nothing when nothing changed, and says so for every stage', async () => {
    await makePipeline()
    const done = await here.cairn('repro', 'evaluate.dvc')
    expect(done.stdout).toBe(
      "Stage 'load.dvc' didn't change.\nStage 'train.dvc' didn't change.\nStage 'evaluate.dvc' didn't change.\nPipeline is up to date. Nothing to reproduce.\n",
    )
  })

  test('runs only what a change reaches, and says why', async () => {
    await makePipeline()
    write('code/train.sh', `${read('code/train.sh')}# faster\n`)
    const done = await here.cairn('repro', 'evaluate.dvc')
    expect(done.stdout).toContain("Stage 'load.dvc' didn't change.\n")
    expect(done.stdout).toContain(
      "Dependency 'code/train.sh' of 'train.dvc' changed.\nStage 'train.dvc' changed.\nReproducing 'train.dvc'\nRunning command:\n\tsh code/train.sh\n",
    )
    // The new script makes the same model, so there is nothing new to evaluate.
    expect(done.stdout).toContain("Stage 'evaluate.dvc' didn't change.\n")
    expect([runs('load'), runs('train'), runs('evaluate')]).toEqual([1, 2, 1])
  })

  test('follows a change of the data through all stages', async () => {
    await makePipeline()
    write('words.txt', 'one two three four\n')
    await here.cairn('repro')
    expect(read('model/metrics.json')).toBe('{"acc": 4}')
    expect(readdirSync(file('data')).toSorted()).toEqual(['four.txt', 'one.txt', 'three.txt', 'two.txt'])
    expect((await here.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
  })

  test('stops at a failing stage, names it, and goes on from there next time', async () => {
    await makePipeline()
    write('words.txt', 'uno due\n')
    const train = read('code/train.sh')
    write('code/train.sh', 'exit 7\n')
    const failed = await here.tryCairn('repro', 'evaluate.dvc')
    expect(failed).toMatchObject({
      code: 255,
      stderr: expect.stringContaining("failed to reproduce 'train.dvc': failed to run: sh code/train.sh, exited with 7"),
    })
    expect([runs('load'), runs('evaluate')]).toEqual([2, 1])
    write('code/train.sh', train)
    const done = await here.cairn('repro', 'evaluate.dvc')
    expect(done.stdout).toContain("Stage 'load.dvc' didn't change.")
    expect([runs('load'), runs('train'), runs('evaluate')]).toEqual([2, 2, 2])
    expect(read('model/metrics.json')).toBe('{"acc": 2}')
  })

  test('reproduces a part of the pipeline on request', async () => {
    await makePipeline()
    write('words.txt', 'one\n')
    await here.cairn('repro', 'load.dvc')
    expect([runs('load'), runs('train')]).toEqual([2, 1])
    write('words.txt', 'two\n')
    await here.cairn('repro', '-s', 'train.dvc')
    expect([runs('load'), runs('train'), runs('evaluate')]).toEqual([2, 2, 1])
    await here.cairn('repro', '--downstream', 'train.dvc')
    expect([runs('load'), runs('train'), runs('evaluate')]).toEqual([2, 2, 2])
  })

  test('takes lost outs from the cache instead of running anything', async () => {
    await makePipeline()
    rmSync(file('data'), { recursive: true })
    rmSync(file('model/model.txt'))
    const done = await here.cairn('repro')
    expect(done.stdout).toContain("Stage 'load.dvc' is cached - skipping run, checking out outputs")
    expect([runs('load'), runs('train'), runs('evaluate')]).toEqual([1, 1, 1])
    expect(read('data/two.txt')).toBe('two\n')
  })

  test('takes what a former run on the same deps made from the cache', async () => {
    await makePipeline()
    const before = read('load.dvc')
    write('words.txt', 'other words\n')
    await here.cairn('repro')
    write('words.txt', 'one two three\n')
    const done = await here.cairn('repro')
    for (const name of ['load.dvc', 'evaluate.dvc'])
      expect(done.stdout).toContain(`Stage '${name}' is cached - skipping run, checking out outputs`)
    // No cache could give back the log of train, so that one ran.
    expect([runs('load'), runs('train'), runs('evaluate')]).toEqual([2, 3, 2])
    expect(read('load.dvc')).toBe(before)
    expect(read('model/metrics.json')).toBe('{"acc": 3}')
    // A metric that Git keeps is the person's file and no link into the cache.
    expect(statSync(file('model/metrics.json')).nlink).toBe(1)
    expect((await here.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
  })

  test('--force runs everything, --dry nothing, -k what does not depend on a failure', async () => {
    await makePipeline()
    await here.cairn('repro', '--force')
    expect([runs('load'), runs('train'), runs('evaluate')]).toEqual([2, 2, 2])
    write('words.txt', 'new\n')
    const dry = await here.cairn('repro', '--dry')
    for (const name of ['load.dvc', 'train.dvc', 'evaluate.dvc']) expect(dry.stdout).toContain(`Reproducing '${name}'`)
    expect(runs('load')).toBe(2)
    write('code/load.sh', 'exit 1\n')
    write('side.in', '1')
    await here.cairn('run', '-f', 'side.dvc', '-d', 'side.in', '-o', 'side', 'cp side.in side')
    write('side.in', '2')
    const kept = await here.tryCairn('repro', '-k')
    expect(kept.code).toBe(255)
    expect(kept.stderr).toContain("Stages 'train.dvc' and 'evaluate.dvc' will be skipped due to this failure")
    expect(kept.stderr).toContain("failed to reproduce 'load.dvc'")
    expect(read('side')).toBe('2')
  })

  test('never loses an out that somebody wrote by hand', async () => {
    await makePipeline()
    rmSync(file('model/model.txt'))
    write('model/model.txt', 'hand made\n')
    write('code/train.sh', `${read('code/train.sh')}# new\n`)
    await here.cairn('repro')
    const kept = readdirSync(file('.dvc/cache/files/md5'), { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    expect(kept.some((entry) => readFileSync(path.join(entry.parentPath, entry.name), 'utf8') === 'hand made\n')).toBe(true)
  })

  test('keeps the outs of a stage that cannot run for want of a dep', async () => {
    await makePipeline()
    rmSync(file('code/train.sh'))
    const failed = await here.tryCairn('repro', 'train.dvc')
    expect(failed).toMatchObject({
      code: 255,
      stderr: expect.stringContaining("failed to reproduce 'train.dvc': dependency 'code/train.sh' does not exist"),
    })
    expect(existsSync(file('model/model.txt'))).toBe(true)
  })

  test('leaves persistent outs in place for the command, and the cached bytes alone', async () => {
    write('in', '1\n')
    await here.cairn('run', '-f', 'a.dvc', '-d', 'in', '--outs-persist', 'all', 'cat in >> all')
    write('in', '2\n')
    await here.cairn('repro')
    expect(read('all')).toBe('1\n2\n')
    rmSync(file('all'))
    await here.cairn('repro')
    expect(read('all')).toBe('1\n2\n')
  })

  test('takes changed data on the way up again', async () => {
    write('raw', 'old\n')
    await here.cairn('add', 'raw')
    await here.cairn('run', '-f', 'a.dvc', '-d', 'raw', '-o', 'x', 'cp raw x')
    chmodSync(file('raw'), 0o644)
    rmSync(file('raw'))
    write('raw', 'new\n')
    const done = await here.cairn('repro', 'a.dvc')
    expect(done.stdout).toContain("Verifying data sources in stage: 'raw.dvc'")
    expect(read('x')).toBe('new\n')
    expect((await here.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
  })

  test('does not run locked stages', async () => {
    await makePipeline()
    await here.cairn('lock', 'train.dvc')
    expect(read('train.dvc')).toMatch(/^locked: true|^frozen: true/m)
    write('code/train.sh', 'exit 1\n')
    await here.cairn('repro')
    expect((await here.cairn('status')).stderr).toContain("stage: 'train.dvc' is frozen")
    await here.cairn('unlock', 'train.dvc')
    expect((await here.tryCairn('repro')).code).toBe(255)
  })
})

describe('a dvc.yaml', () => {
  const yaml = (cmd: string) => `stages:
  prepare:
    cmd: ${cmd}
    deps:
    - in.txt
    params:
    - lr
    outs:
    - out.txt
  last:
    cmd:
    - cp out.txt end.txt
    - echo more >> end.txt
    deps:
    - out.txt
    outs:
    - end.txt
`
  beforeEach(() => {
    write('in.txt', 'text\n')
    write('params.yaml', 'lr: 0.10\nother: 1\n')
    write('dvc.yaml', yaml('cp in.txt out.txt'))
  })

  test('gives outs that a later command can copy with their mode and write to, also when it does not run as root', async () => {
    await here.cairn('repro')
    expect(lstatSync(path.join(here.dir, 'out.txt')).mode & 0o200).toBe(0o200)
    rmSync(path.join(here.dir, 'out.txt'))
    await here.cairn('checkout')
    expect(lstatSync(path.join(here.dir, 'out.txt'))).toMatchObject({ nlink: 1 })
  })

  test('is reproduced in the words of dvc and recorded in dvc.lock', async () => {
    const done = await here.cairn('repro')
    expect(done.stdout).toContain(
      "Running stage 'prepare':\n> cp in.txt out.txt\nGenerating lock file 'dvc.lock'\nUpdating lock file 'dvc.lock'\n\nRunning stage 'last':\n",
    )
    expect(done.stdout).toContain('Use `cairn push` to send your updates to remote storage.\n')
    expect(read('dvc.lock')).toContain('params:\n      params.yaml:\n        lr: 0.1\n')
    expect((await here.cairn('repro')).stdout).toBe(
      "Stage 'prepare' didn't change, skipping\nStage 'last' didn't change, skipping\nData and pipelines are up to date.\n",
    )
  })

  test('shows changed params, commands and deps in status, also as JSON and as an exit code', async () => {
    await here.cairn('repro')
    write('params.yaml', 'lr: 0.2\nother: 2\n')
    write('in.txt', 'new\n')
    write('dvc.yaml', yaml('cp -f in.txt out.txt'))
    expect((await here.cairn('status')).stdout).toBe(
      'prepare:\n\tchanged deps:\n\t\tmodified:           in.txt\n\t\tparams.yaml:\n\t\t\tmodified:           lr\n\tchanged command\n',
    )
    expect(JSON.parse((await here.cairn('status', '--json')).stdout)).toEqual({
      prepare: [{ 'changed deps': { 'in.txt': 'modified', 'params.yaml': { lr: 'modified' } } }, 'changed command'],
    })
    expect(await here.tryCairn('status', '-q')).toMatchObject({ code: 1, stdout: '' })
    expect((await here.cairn('--cd', '.dvc', 'status')).stdout).toContain('../dvc.yaml:prepare:')
  })

  test('keeps the outs when a param is missing', async () => {
    await here.cairn('repro')
    write('params.yaml', 'other: 1\n')
    const failed = await here.tryCairn('repro')
    expect(failed).toMatchObject({
      code: 255,
      stderr: expect.stringContaining("failed to reproduce 'prepare': Parameters 'lr' are missing from 'params.yaml'."),
    })
    expect(read('out.txt')).toBe('text\n')
  })

  test('takes stages from the command line, and refuses what would break it', async () => {
    write('more.json', '{"x": 1}')
    await here.cairn(
      'stage',
      'add',
      '-n',
      'fit',
      '-d',
      'end.txt',
      '-p',
      'other,lr',
      '-p',
      'more.json:x',
      '-M',
      'm.json',
      '-o',
      'model',
      'echo 1 > m.json; touch model',
    )
    expect(read('dvc.yaml')).toBe(
      `${yaml('cp in.txt out.txt')}  fit:
    cmd: echo 1 > m.json; touch model
    deps:
    - end.txt
    params:
    - lr
    - other
    - more.json:
      - x
    outs:
    - model
    metrics:
    - m.json:
        cache: false
`,
    )
    expect(read('.gitignore')).toBe('/model\n')
    expect((await here.cairn('repro', 'fit')).code).toBe(0)
    expect((await here.cairn('stage', 'list')).stdout).toBe(
      'prepare  Outputs out.txt\nlast     Outputs end.txt\nfit      Outputs model; Reports m.json\n',
    )
    const twice = await here.tryCairn('stage', 'add', '-n', 'fit', 'true')
    expect(twice).toMatchObject({
      code: 255,
      stderr: expect.stringContaining("Stage 'fit' already exists in 'dvc.yaml'. Use '--force' to overwrite."),
    })
    const circle = await here.tryCairn('stage', 'add', '-n', 'back', '-d', 'model', '-o', 'in.txt', 'true')
    expect(circle).toMatchObject({
      code: 255,
      stderr: expect.stringContaining('both a dependency and an output in stages: prepare, last, fit, back.'),
    })
  })

  test('is drawn and listed', async () => {
    expect((await here.cairn('dag', '--mermaid')).stdout).toBe(
      'flowchart TD\n\tnode1["last"]\n\tnode2["prepare"]\n\tnode2-->node1\n',
    )
    expect((await here.cairn('pipeline', 'show', '--outs', 'last')).stdout).toBe('out.txt\nend.txt\n')
    expect((await here.cairn('pipeline', 'show', '--commands', 'last')).stdout).toBe(
      'cp in.txt out.txt\ncp out.txt end.txt; echo more >> end.txt\n',
    )
    expect((await here.cairn('pipeline', 'show', '--ascii', 'last')).stdout).toContain('| prepare |')
    expect((await here.cairn('pipeline', 'list')).stdout).toContain('prepare\nlast\n')
  })
})
