import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createWorkstation, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

// Each test starts stock dvc a dozen times.
vi.setConfig({ testTimeout: 240_000 })

/** Two copies of one project: `cairn` works in one of them and stock `dvc` in the other. */
let ours: Workstation
let theirs: Workstation
const both = () => [ours, theirs]

const PIPELINE = `stages:
  z:
    cmd: cat q.o p.o zz > z.o
    deps: [q.o, p.o, zz]
    outs: [z.o]
  e:
    cmd: cp in2 e.o
    deps: [in2]
    outs: [e.o]
  p:
    cmd: cp in p.o
    deps: [in]
    outs: [p.o]
  q:
    cmd: cp in q.o
    deps: [in]
    outs: [q.o]
    params: [lr, net]
  y:
    cmd:
    - cat p.o e.o > y.o
    - cp e.o m.json
    deps: [p.o, e.o]
    outs: [y.o]
    metrics:
    - m.json:
        cache: false
  g:
    foreach: [us, eu]
    do:
      cmd: echo \${item} > \${item}.o
      outs:
      - \${item}.o
`

beforeEach(async () => {
  ours = createWorkstation()
  ours.git('init', '-q')
  await ours.cairn('init')
  const at = (name: string) => path.join(ours.dir, name)
  writeFileSync(at('dvc.yaml'), PIPELINE)
  writeFileSync(at('params.yaml'), 'lr: 1.0\nnet:\n  depth: 3\n  eps: 1e-5\n')
  for (const name of ['in', 'in2', 'zz']) writeFileSync(at(name), name === 'in2' ? '0.5\n' : `${name}\n`)
  await ours.cairn('add', 'in', 'zz')
  await ours.cairn('remote', 'add', '-d', 'there', '../remote')
  const other = path.join(ours.home, 'theirs')
  cpSync(ours.dir, other, { recursive: true })
  theirs = ours.at(other)
})
afterEach(() => ours.remove())

const dvc = (...args: string[]) => run(realParts().dvc, args, { cwd: theirs.dir, env: theirs.env })
const read = ({ dir }: Workstation, name: string) => readFileSync(path.join(dir, name), 'utf8')
const change = (name: string, text: string) => both().forEach(({ dir }) => writeFileSync(path.join(dir, name), text))
const lose = (...names: string[]) =>
  both().forEach(({ dir }) => names.forEach((name) => rmSync(path.join(dir, name), { recursive: true, force: true })))

/** What stdout says of each stage, without an order that dvc does not keep either. */
const told = (stdout: string) =>
  stdout
    .split('\n')
    .filter((line) => /^(Running|Stage|'|Verifying|Pulling|Data and)/.test(line))
    .toSorted()

async function sameRepro(...args: string[]): Promise<void> {
  const [own, other] = [await ours.tryCairn('repro', ...args), await dvc('repro', ...args)]
  const context = `${args.join(' ')}\n${own.stderr}\n${other.stderr}`
  expect(own.code, context).toBe(other.code)
  expect(told(own.stdout), context).toEqual(told(other.stdout))
}

const sameLock = () => expect(read(ours, 'dvc.lock')).toBe(read(theirs, 'dvc.lock'))

test('repro writes the same dvc.lock in the same words, and each finds clean what the other ran', async () => {
  await sameRepro()
  sameLock()
  change('in', 'more\n')
  change('params.yaml', 'lr: 2\nnet:\n  depth: 3\n  eps: 1e-5\n')
  await sameRepro()
  sameLock()
  await sameRepro()
  ;[ours, theirs] = [theirs, ours]
  await sameRepro()
  expect((await ours.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
  expect((await dvc('status')).stdout).toBe('Data and pipelines are up to date.\n')
})

/** Without an order: of the stages that a pattern names, dvc runs any one first. */
const entriesOf = (station: Workstation) =>
  read(station, 'dvc.lock')
    .split(/^(?= {2}\S)/m)
    .toSorted()

test('selections run the same stages', async () => {
  await sameRepro('q')
  await sameRepro('-s', 'p')
  await sameRepro('--downstream', 'e')
  await sameRepro('--glob', 'g@*')
  await sameRepro('g@us', 'dvc.yaml:q')
  await sameRepro('g')
  await sameRepro('-p', 'y')
  await sameRepro('-P')
  change('in', 'more\n')
  await sameRepro('-s', 'z')
  await sameRepro('-R', '.')
  await sameRepro('-f', '-s', 'y')
  change('in2', '0.7\n')
  await sameRepro('--force-downstream', 'y')
  await sameRepro('nosuch')
  await sameRepro('nosuch.dvc')
  expect(entriesOf(ours)).toEqual(entriesOf(theirs))
})

test('failures end with the same codes and leave the same behind', async () => {
  change('dvc.yaml', PIPELINE.replace('cp in p.o', 'exit 3'))
  await sameRepro('-k')
  expect(
    read(ours, 'dvc.lock')
      .match(/^ {2}\w.*:$/gm)
      ?.toSorted(),
  ).toEqual(
    read(theirs, 'dvc.lock')
      .match(/^ {2}\w.*:$/gm)
      ?.toSorted(),
  )
  await sameRepro('p')
  await sameRepro('--ignore-errors', 'p')
  lose('in', '.dvc/cache')
  await sameRepro('in.dvc')
})

test('what is missing is left alone, pulled or made again by both', async () => {
  await sameRepro()
  await ours.cairn('push')
  lose('in', 'q.o', 'p.o', 'z.o', '.dvc/cache')
  await sameRepro('--allow-missing')
  await sameRepro('--pull')
  lose('in', 'q.o', 'p.o', 'z.o', '.dvc/cache')
  change('dvc.yaml', PIPELINE.replace('cat q.o p.o zz > z.o', 'cat p.o q.o zz > z.o'))
  await sameRepro('--pull', '--allow-missing', 'z')
  sameLock()
  expect(read(ours, 'z.o')).toBe(read(theirs, 'z.o'))
})

test('--dry tells the same where dvc lives through it', async () => {
  await sameRepro()
  change('dvc.yaml', PIPELINE.replace('cp in2 e.o', 'cat in2 > e.o'))
  await sameRepro('--dry', 'e')
  await sameRepro('--dry', '-s', 'y')
})

test('commit, freeze and stage list answer the same', async () => {
  await sameRepro()
  change('in', 'more\n')
  for (const args of [
    ['commit', 'q'],
    ['commit', 'nosuch'],
    ['commit', '-f', 'in.dvc'],
    ['commit', '-f', '-d', 'q'],
    ['commit', '-f'],
    ['freeze', 'p', 'in.dvc'],
    ['freeze', 'nosuch'],
    ['freeze', 'g@us'],
    ['repro', 'p'],
    ['unfreeze', 'p', 'in.dvc'],
    ['stage', 'list'],
    ['stage', 'list', '--name-only', 'g'],
    ['stage', 'list', 'g@us', 'in.dvc'],
    ['stage', 'list', 'nosuch'],
  ]) {
    const [own, other] = [await ours.tryCairn(...args), await dvc(...args)]
    const context = `${args.join(' ')}\n${own.stderr}\n${other.stderr}`
    expect(own.code, context).toBe(other.code)
    expect(own.stdout, context).toBe(other.stdout)
  }
  sameLock()
  expect(read(ours, 'dvc.yaml')).toBe(read(theirs, 'dvc.yaml'))
})

test('stage add writes the same dvc.yaml, and dag the same pictures for programs', async () => {
  both().forEach(({ dir }) => mkdirSync(path.join(dir, 'sub')))
  for (const args of [
    [
      '-n',
      'x1',
      '-d',
      'in2',
      '-o',
      'x1.o',
      '-p',
      'lr,net.depth',
      '-p',
      'p.json:a',
      '--desc',
      'two\nlines',
      '-m',
      'm1.json',
      'echo "1"',
      '2',
    ],
    ['-n', 'x2', '--outs-persist', 'pp.o', '-O', 'q2.o', '--always-changed', '-w', 'sub', 'echo', 'a b', "c'd", ''],
    ['-n', 'x2', '-o', 'other', 'true'],
    ['-n', 'x2', '-f', '--run', '-o', 'x2.o', 'echo 1 > x2.o'],
    ['-n', 'x3', '--run', '-o', 'x3.o', 'exit 2'],
    ['-n', 'a.b', 'true'],
    ['-n', 'x4', '--plots', 'pl.csv', '--plots-no-cache', 'pl2.csv', '-M', 'm2.json', '--outs-persist-no-cache', 'k', 'true'],
    ['-n', 'x5'],
  ]) {
    const [own, other] = [await ours.tryCairn('stage', 'add', ...args), await dvc('stage', 'add', ...args)]
    expect(own.code, `${args.join(' ')}\n${own.stderr}\n${other.stderr}`).toBe(other.code)
    expect(read(ours, 'dvc.yaml'), args.join(' ')).toBe(read(theirs, 'dvc.yaml'))
  }
  sameLock()
  for (const args of [
    ['--dot'],
    ['--mermaid'],
    ['--md', 'z'],
    ['--mermaid', '--full', 'p'],
    ['--mermaid', '-o'],
    ['--mermaid', '--collapse-foreach-matrix'],
  ]) {
    const [own, other] = [await ours.cairn('dag', ...args), await dvc('dag', ...args)]
    // Nothing keeps dvc from listing pipelines in another order, and numbers go by it.
    const shape = (text: string) =>
      text
        .replace(/node\d+/g, 'node')
        .split('\n')
        .toSorted()
    expect(shape(own.stdout), args.join(' ')).toEqual(shape(other.stdout))
  }
})
