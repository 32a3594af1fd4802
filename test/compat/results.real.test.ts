import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWorkstation, type Finished, run, CAIRN, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'
import { withoutDrawing } from './without-drawing.ts'

/** What both say of metrics, params and plots in one repository with a past. */
let here: Workstation
const file = (name: string) => path.join(here.dir, name)
const write = (name: string, text: string) => {
  mkdirSync(path.dirname(file(name)), { recursive: true })
  writeFileSync(file(name), text)
}

const STAGES = `stages:
  fit:
    cmd: cp src/m.json m.json && cp src/kept.yaml kept.yaml && cp src/loss.csv loss.csv && cp src/shape.svg shape.svg && mkdir -p many && cp src/m.json many/one.json
    deps: [src]
    params: [lr, net.depth, other.json: [a.b]]
    metrics:
    - m.json
    - many
    - kept.yaml:
        cache: false
    plots:
    - loss.csv:
        x: step
        y: loss
    - shape.svg
  named:
    vars: [extra.yaml]
    cmd: echo \${word}
`
const TOP = `metrics: [top.json, folder]
params: [conf.toml, conf.py]
plots:
- curve.csv:
    x: epoch
    y: acc
    title: Accuracy
- both:
    x: epoch
    y:
      curve.csv: [acc, loss]
      more.csv: acc
- nested.json:
    x: n
    y: v
- steps.tsv
`

function writeSources(version: number): void {
  write(
    'src/m.json',
    `{"acc": ${version / 7}, "list": [1, 2], "deep": {"loss": ${version}, "none": null}, "ok": true, "zero": 0, "word": "w${version}"}`,
  )
  write('src/kept.yaml', `f: ${version}.0\nbig: 12345678901234567890\ntiny: 1e-7\n`)
  write('src/loss.csv', `step,loss\n1,${version}.5\n2,0.25\n`)
  write('src/shape.svg', `<svg xmlns="http://www.w3.org/2000/svg" id="v${version}"/>`)
  write('params.yaml', `lr: ${version / 10}\nnet: {depth: ${version}, layers: [1, ${version}]}\nnone: null\n`)
  write('other.json', `{"a": {"b": ${version}, "c": 0}}`)
  write('extra.yaml', `word: w${version}\n`)
  write('conf.toml', `x = 1\n[t]\ny = ${version}.5\n`)
  write('conf.py', `class Model:\n    lr = 0.${version}\n    name: str = "m"\n\nSEEDS = [1, ${version}]\nD = {"k": ${version}}\n`)
  write('top.json', `${version / 2}`)
  write('folder/a.json', `{"d": ${version}}`)
  write('curve.csv', `epoch,acc,loss\n1,0.${version},3\n2,0.25,"4"\n`)
  write('more.csv', `epoch,acc\n1,0.9\n2,0.${version}\n`)
  write('nested.json', `{"train": {"curve": [{"n": 0, "v": ${version}}, {"n": 1, "v": 0.5}]}}`)
  write('steps.tsv', `a\tb\n1\t${version}\n`)
}

/** Commits of one second have no order by their dates. */
const nextSecond = () => sleep(1100)

async function commit(message: string, ...tags: string[]): Promise<void> {
  await here.cairn('repro', '-q')
  here.git('add', '-A')
  await nextSecond()
  here.git('commit', '-q', '-m', message)
  for (const tag of tags) here.git('tag', tag)
}

beforeAll(async () => {
  here = createWorkstation()
  here.git('init', '-q', '-b', 'main')
  await here.cairn('init')
  write('.gitignore', '/dvc_plots\n/pages\n')
  write('dvc.yaml', STAGES + TOP)
  writeSources(1)
  await commit('one', 'v9', 'v10')
  writeSources(2)
  write('folder/new.yaml', 'fresh: [1]\nvalue: 3\n')
  write('src/m.json', '{"acc": 0.5, "gone": NaN, "deep": {"loss": 2.5}, "ok": false, "zero": 0, "far": Infinity}')
  await commit('two', 'two')
  here.git('branch', 'side')
  const cut = readFileSync(file('dvc.yaml'), 'utf8')
  write('dvc.yaml', 'stages: [\n')
  await nextSecond()
  here.git('commit', '-q', '-a', '-m', 'cut off', '--no-verify')
  here.git('tag', 'cut')
  write('dvc.yaml', cut)
  writeSources(3)
  rmSync(file('folder/new.yaml'))
  write('folder/broken.json', '{"a": ')
  await commit('three', 'three')
  // What only the first commit had is in no cache any more.
  const first = /path: m\.json\n +hash: md5\n +md5: (..)(.{30})/.exec(here.git('show', 'v9:dvc.lock'))
  rmSync(file(`.dvc/cache/files/md5/${first?.[1]}/${first?.[2]}`))
  writeSources(4)
  write('m.json', '{"acc": 0.75, "deep": {"loss": 1}, "ok": true, "word": "here"}')
  write('folder/text.yaml', 'just text\n')
  rmSync(file('top.json'))
  rmSync(file('loss.csv'))
  write('bad.csv', 'epoch,acc\n')
  write('.dvc/plots/mine.json', JSON.stringify(MINE))
  mkdirSync(file('sub'))
})
afterAll(() => here.remove())

const anchor = (name: string) => `<DVC_METRIC_${name}>`
const MINE = {
  data: { values: anchor('DATA') },
  title: `${anchor('TITLE')} of ${anchor('Y_LABEL')}`,
  size: [{ w: anchor('PLOT_WIDTH'), h: anchor('PLOT_HEIGHT') }],
  params: [anchor('ZOOM_AND_PAN')],
  transform: [{ groupby: anchor('GROUP_BY'), x: anchor('GROUP_BY_X'), y: anchor('GROUP_BY_Y'), pivot: anchor('PIVOT_FIELD') }],
  encoding: {
    x: { field: anchor('X'), title: anchor('X_LABEL') },
    y: { field: anchor('Y') },
    color: anchor('COLOR'),
    strokeDash: anchor('STROKE_DASH'),
    shape: anchor('SHAPE'),
    tooltip: anchor('TOOLTIP'),
    column: anchor('COLUMN'),
    row: anchor('ROW'),
  },
}

async function both(args: string, folder = '.'): Promise<{ ours: Finished; stock: Finished }> {
  const options = { cwd: file(folder), env: { ...here.env, CI: '1' } }
  const words = args.split(' ')
  const stock = await run(realParts().dvc, words, options)
  return { stock, ours: await run(CAIRN, words, options) }
}

/** Stock names a file that it cannot parse as if the repository's root were the machine's, and a stage file without line and column. */
const comparable = (text: string): string =>
  text
    .replaceAll(/unable to read: '(?:\.\.\/)*([^']*)'/g, "unable to read: '$1'")
    .replaceAll(/("type": "YAMLSyntaxError", "msg": )"(?:[^"\\]|\\.)*"/g, '$1"…"')
    .replaceAll(/\b(NaN|-?Infinity)\b/g, '"$1"')

const json = ({ stdout }: Finished): unknown => JSON.parse(comparable(stdout))

describe('metrics show says the same, in the same order', () => {
  test.each([
    'metrics show --json',
    'metrics show -a --json',
    'metrics show -T --json',
    'metrics show -A --json',
    'metrics show -a -T --json',
    'metrics show m.json kept.yaml --json',
    'metrics show folder --json',
    'metrics show many --json',
    'metrics show nosuch.json --json',
    'metrics show params.yaml conf.py conf.toml --json',
    'metrics show',
    'metrics show -a -T',
    'metrics show -A --md',
    'metrics show --precision 2 --md',
    'metrics show nosuch.json',
  ])('%s', async (args) => {
    const { ours, stock } = await both(args)
    expect(comparable(ours.stdout)).toBe(comparable(stock.stdout))
    expect(ours.code).toBe(stock.code)
    const told = (text: string) => /DVC failed to load.*/.exec(text)?.[0]
    expect(told(ours.stderr)).toBe(told(stock.stderr))
  })

  test.each(['metrics show --json', 'metrics show -T', 'metrics show ../m.json --json'])('%s in a folder', async (args) => {
    const { ours, stock } = await both(args, 'sub')
    expect(comparable(ours.stdout)).toBe(comparable(stock.stdout))
  })
})

describe('diffs are the same', () => {
  test.each([
    'metrics diff --json',
    'metrics diff --all --json',
    'metrics diff v9 --json',
    'metrics diff v9 two --json',
    'metrics diff two v9 --json',
    'metrics diff two three --json',
    'metrics diff two three --all --json',
    'metrics diff cut --json',
    'metrics diff cut three --json',
    'metrics diff --json --targets m.json',
    'metrics diff --json --targets folder',
    'metrics diff --json --targets nosuch.json',
    'params diff --json',
    'params diff --all --json',
    'params diff --deps --json',
    'params diff two three --json',
    'params diff cut --json',
    'params diff --all --json --targets conf.toml',
    'params diff --json --targets nosuch.yaml',
    'metrics diff HEAD~1 HEAD~9 --json',
    'params diff nosuch --json',
    'metrics diff nosuch --json',
  ])('%s', async (args) => {
    const { ours, stock } = await both(args)
    expect(ours.code).toBe(stock.code)
    if (stock.code === 0) expect(json(ours)).toEqual(json(stock))
  })

  test.each([
    'metrics diff',
    'metrics diff v9 --all',
    'metrics diff --precision 2 --no-path',
    'metrics diff two three --md',
    'params diff',
    'params diff two three --md --no-path',
    'metrics diff --md --targets nosuch.json',
  ])('%s has the same rows', async (args) => {
    const { ours, stock } = await both(args)
    expect(ours.stdout.split('\n').toSorted()).toEqual(stock.stdout.split('\n').toSorted())
    expect(ours.code).toBe(stock.code)
  })
})

const DRAWN = `stages:
  fit:
    cmd: echo
    deps:
    - src
    outs:
    - many
    - words
    metrics:
    - m.json
    plots:
    - loss.csv:
        x: step
        y: loss
    - shape.svg
`

describe('plots are the same', () => {
  test.each([
    'plots show --json',
    'plots show both --json',
    'plots show curve.csv --json -x epoch -y loss --title T --x-label X --y-label Y',
    'plots show more.csv --json',
    'plots show more.csv --no-header --json',
    'plots show more.csv -y nosuch --json',
    'plots show shape.svg --json',
    'plots show bad.csv --json',
    'plots show m.json --json',
    'plots show nosuch.csv --json',
    'plots diff --json',
    'plots diff v9 --json',
    'plots diff v9 two three --json',
    'plots diff cut --json',
    'plots diff two workspace --json --targets curve.csv',
    'plots show both --show-vega -t bar_horizontal',
    'plots diff nosuch --json',
    'plots show --show-vega',
    'plots show a b --show-vega',
    'plots show -t nosuch --json',
    'plots templates nosuch',
  ])('%s', async (args) => {
    const { ours, stock } = await both(args)
    expect(ours.code).toBe(stock.code)
    if (stock.code === 0) expect(withoutDrawing(json(ours))).toEqual(withoutDrawing(json(stock)))
  })

  test.each([
    'plots show curve.csv -t mine --show-vega',
    'plots show both -t mine --show-vega',
    'plots diff v9 two -t mine --json',
    'plots diff v9 -t mine --json --split',
    'plots show -t .dvc/plots/mine.json --json',
  ])("%s: a person's own template is filled the same way", async (args) => {
    const { ours, stock } = await both(args)
    expect(json(ours)).toEqual(json(stock))
  })

  test('a page is written to the same place, with the same images', async () => {
    const page = await both('plots diff v9 -o pages')
    expect(page.ours.stdout).toBe(page.stock.stdout)
    expect(readdirSync(file('pages/static')).toSorted()).toEqual(['v9_shape.svg', 'workspace_shape.svg'])
  })

  test('the templates have the same names', async () => {
    const { ours, stock } = await both('plots templates')
    expect(ours.stdout).toBe(stock.stdout)
  })

  test('modify writes the same dvc.yaml', async () => {
    const kept = readFileSync(file('dvc.yaml'), 'utf8')
    const before = DRAWN
    for (const args of [
      'plots modify loss.csv -t scatter --title T',
      'plots modify loss.csv --unset x y',
      'plots modify words -x a',
    ]) {
      write('dvc.yaml', before)
      expect((await run(realParts().dvc, args.split(' '), { cwd: here.dir, env: here.env })).code).toBe(0)
      const theirs = readFileSync(file('dvc.yaml'), 'utf8')
      write('dvc.yaml', before)
      await here.cairn(...args.split(' '))
      expect(readFileSync(file('dvc.yaml'), 'utf8')).toBe(theirs)
    }
    write('dvc.yaml', before)
    for (const args of ['plots modify nosuch -x a', 'plots modify m.json --unset x', 'plots modify loss.csv --unset title']) {
      const { ours, stock } = await both(args)
      expect(ours.code).toBe(stock.code)
    }
    write('dvc.yaml', kept)
  })
})
