import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createWorkstation, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

let here: Workstation
/** The same repository once more, for dvc. */
let theirs: string
beforeEach(async () => {
  here = createWorkstation()
  here.git('init', '-q')
  await here.cairn('init')
  theirs = `${here.dir}-of-dvc`
})
afterEach(() => here.remove())

const dvc = (...args: string[]) => run(realParts().dvc, args, { cwd: theirs, env: { ...here.env, CI: '1' } })

/** Both repositories get the files. */
function fill(files: Record<string, string>): void {
  for (const [name, text] of Object.entries({ 'params.yaml': PARAMS, 'in.txt': 'in\n', ...files })) {
    mkdirSync(path.dirname(path.join(here.dir, name)), { recursive: true })
    writeFileSync(path.join(here.dir, name), text)
  }
  cpSync(here.dir, theirs, { recursive: true })
}

const read = (dir: string, name: string) =>
  existsSync(path.join(dir, name)) ? readFileSync(path.join(dir, name), 'utf8') : undefined

const PARAMS = `n: 5
f: 1.0
small: 1e-07
flags: [true, false]
nothing:
text: my model
mixed: [1, 2.0, true, "a b", null]
net: {lr: 0.1, name: it's mine, sizes: [1, a b, true], deep: true, wide: false, none: , empty: {}, opt: {k: 1}}
models:
  us: {lr: 0.1, layers: [1, 2]}
  gb: {lr: 2.0}
`

const stage = (body: string): string => `stages:\n  s:\n${body.replace(/^/gm, '    ')}\n`
const OUT_FLAGS = '{cache: true, persist: true, push: false, desc: "d ${n}", type: t, labels: ["l${n}"], meta: {z: "${n}"}}'

const GOOD: ReadonlyArray<readonly [name: string, dvcYaml: string, files?: Record<string, string>]> = [
  ['values of every type in a command', stage('cmd: echo ${n} ${f} ${small} ${flags[0]} ${nothing} ${text}')],
  ['a mapping as options', stage('cmd: echo ${net}')],
  [
    'options as the configuration says',
    stage('cmd: echo ${net}'),
    { '.dvc/config': '[parsing]\n    bool = boolean_optional\n    list = append\n' },
  ],
  ['names in every form', stage('cmd: echo ${ n } ${net . opt.k} ${mixed[0]} ${mixed.1} ${mixed.-2} ${net[opt][k]}')],
  ['escapes, and what is none', stage("cmd: echo '\\${n} ${n} $n {n} \\\\${n}'")],
  ['a list of commands', stage('cmd:\n- echo ${n}\n- echo "${text}" > o\nouts: [o]')],
  [
    'a folder, deps, params, outs and flags',
    stage(
      'cmd: echo 1 > o5 && echo 2 > m\nwdir: w${n}\ndeps: ["../in.txt"]\nparams: ["net.lr", "p${n}.yaml": ["a${n}", b]]\n' +
        `outs:\n- o\${n}: ${OUT_FLAGS}\nmetrics:\n- m: {cache: false}`,
    ),
    { 'w5/params.yaml': 'net: {lr: 3}', 'w5/p5.yaml': 'a5: {x: 1.0}\nb: [1, 2]\n' },
  ],
  [
    'params of every format, by key and whole',
    stage(
      'cmd: echo 1\nparams:\n- n\n- p.json: [a.b]\n- p.toml: [t.x]\n- p.py: [LR, Net.depth, Net.rate, D.k]\n- w.json:\n- w.toml: []',
    ),
    {
      'p.json': '{"a": {"b": 1.0}}',
      'p.toml': '[t]\nx = 1e5\n',
      'p.py':
        'LR = 1e-3\nD = {"k": [1, None]}\nclass Net:\n    depth: int = 3\n    def __init__(self):\n        self.rate = 0.5\n',
      'w.json': '{"z": [1, {"q": null}], "a": "1"}',
      'w.toml': 'b = true\na = 1.5\n',
    },
  ],
  [
    'description, meta, frozen and always_changed',
    stage('cmd: echo 1\ndesc: "for ${text}\\nmore"\nmeta: {a: "${n}", l: ["${flags[0]}"]}\nalways_changed: true'),
  ],
  ['a number as description', stage('cmd: echo 1\ndesc: ${n}').replace('desc: ${n}', 'desc: "n ${n}"')],
  [
    'plots with flags',
    stage(
      'cmd: echo "a,b" > p.csv\nplots:\n- p.csv: {x: "${text}", y: b, title: "t ${n}", template: simple, header: true, x_label: x, y_label: y, cache: false}',
    ),
  ],
  [
    'vars from everywhere',
    `vars: [v.yaml, "v.json:a,b", "v.json:c", v.toml, v.py, {net: {more: 7}, own: [1]}, v.yaml, params.yaml]\n${stage('cmd: echo ${v} ${a} ${b.x} ${c} ${t.x} ${K.k} ${net.more} ${net.lr} ${own[0]}')}`,
    {
      'v.yaml': 'v: 1',
      'v.json': '{"a": 1, "b": {"x": 1.0}, "c": "x", "d": 0}',
      'v.toml': '[t]\nx = 1.5\n',
      'v.py': 'class K:\n    k = "py"\n',
    },
  ],
  [
    'vars of a stage, from its folder',
    stage('vars: [{q: 1, net: {more: 9}}, v.yaml]\nwdir: w\ncmd: echo ${q} ${v} ${net.more} ${net.lr}'),
    { 'w/v.yaml': 'v: 2' },
  ],
  ['no params file', stage('vars: [{q: 1}]\ncmd: echo ${q}'), { 'params.yaml': '' }],
  ['foreach over scalars', 'stages:\n  f:\n    foreach: [1, 2.0, true, null, "a b", "p:q", 1]\n    do: {cmd: "echo ${item}"}\n'],
  ['foreach over a list of params', 'stages:\n  f:\n    foreach: ${mixed}\n    do: {cmd: "echo ${item}"}\n'],
  ['foreach over names', 'stages:\n  f:\n    foreach: ["${flags[0]}", "v${n}", plain]\n    do: {cmd: "echo ${item}"}\n'],
  [
    'foreach over mappings in a list',
    'stages:\n  f:\n    foreach: [{a: 1, b: {c: x}}, {a: "${n}", b: {c: y}}]\n    do: {cmd: "echo ${item.a} ${item.b.c} ${item}"}\n',
  ],
  [
    'foreach over a mapping',
    'stages:\n  f:\n    foreach: ${models}\n    do:\n      cmd: echo ${key} ${item.lr} > o-${key}\n      params: ["models.${key}"]\n      deps: [in.txt]\n      outs: ["o-${key}"]\n',
  ],
  [
    'foreach over a mapping in place, with odd keys',
    'stages:\n  f:\n    foreach: {2: a, x: null, true: {k: 5}, 3.0: b}\n    do: {cmd: "echo ${key}"}\n',
  ],
  [
    'foreach with vars, folder and list of commands',
    'stages:\n  f:\n    foreach: [a, b]\n    do:\n      vars: [{q: 7}]\n      wdir: ${item}\n      cmd: ["echo ${item} ${q}", "echo 2 > o"]\n      outs: [o]\n',
    { 'a/x': '', 'b/x': '' },
  ],
  ['foreach over nothing', 'stages:\n  f:\n    foreach: []\n    do: {cmd: "echo ${item}"}\n  s: {cmd: echo 1}\n'],
  [
    'vars called item and key',
    'vars: [{item: mine, key: too}]\nstages:\n  f:\n    foreach: {a: 1}\n    do: {cmd: "echo ${item} ${key}"}\n  z: {cmd: "echo ${item} ${key}"}\n',
  ],
  [
    'matrix over everything',
    'stages:\n  x:\n    matrix:\n      m: [cnn, 1, 1.0, true, null]\n      o: [{a: 1}, [2]]\n      r: ["${n}", "${flags[1]}"]\n    cmd: echo ${item.m} ${key} ${item.r}\n',
  ],
  [
    'matrix over params',
    'stages:\n  x:\n    matrix:\n      m: ${flags}\n      o: ["${net.opt}", {a: 2}]\n      k: ${models}\n    cmd: echo ${item.m} ${key} ${item.o} > ${key}\n    outs: ["${key}"]\n',
  ],
  [
    'names that YAML must quote',
    'stages:\n  x:\n    matrix:\n      a: ["a: b", "it\'s", "{x}", "#c", "ü"]\n    cmd: echo "${item.a}"\n',
  ],
  [
    'a name longer than a key may be',
    `stages:\n  x:\n    matrix:\n      a: ["${'long '.repeat(40)}", b]\n      c: [1, 2]\n    cmd: echo \${key} > o\${item.c}\${item.a}\n    deps: [in.txt]\n`.replace(
      ' > o${item.c}${item.a}',
      '',
    ),
  ],
  [
    'one stage after the other through templates',
    'stages:\n  a:\n    foreach: [1, 2]\n    do:\n      cmd: echo ${item} > a${item}\n      outs: ["a${item}"]\n  b:\n    matrix: {i: [1, 2], j: [x]}\n    cmd: cat a${item.i} > b-${key}\n    deps: ["a${item.i}"]\n    outs: ["b-${key}"]\n  c:\n    cmd: cat b-1-x b-2-x > c\n    deps: [b-1-x, b-2-x]\n    outs: [c]\n',
  ],
  [
    'every section at the top',
    `${stage('cmd: echo 1')}params: ["p\${n}.yaml"]\nmetrics: ["m\${n}.json"]\nplots: ["a.csv", {"\${n}.csv": {x: "\${text}", y: [a, b], title: t}}, {two: {x: {a.csv: q}, y: {a.csv: [r], b.csv: s}}}, {three: }]\nartifacts: {"m\${n}": {path: "a\${n}", type: model, labels: [a], desc: d, meta: {z: 1}}}\ndatasets: [{name: d, type: url, url: "s3://x/\${n}"}]\n`,
    { 'p5.yaml': 'a: 1', 'm5.json': '{}' },
  ],
]

describe('both make the same stages and the same dvc.lock of', () => {
  test.each(GOOD.map(([name, dvcYaml, files = {}]) => ({ name, dvcYaml, files })))('$name', async ({ dvcYaml, files }) => {
    fill({ 'dvc.yaml': dvcYaml, ...files })
    const [ourList, theirList] = [await here.cairn('stage', 'list'), await dvc('stage', 'list')]
    expect(ourList.stdout).toBe(theirList.stdout)
    const [ourRepro, theirRepro] = [await here.tryCairn('repro'), await dvc('repro')]
    expect({ code: ourRepro.code, stderr: ourRepro.stderr.replace(/^WARNING.*\n/gm, '') }).toMatchObject({ code: 0 })
    expect(theirRepro.code).toBe(0)
    expect(read(here.dir, 'dvc.lock')).toBe(read(theirs, 'dvc.lock'))
    expect(read(here.dir, 'dvc.yaml')).toBe(dvcYaml)
  })
})

test('dvc finds clean what cairn made of templates, and runs nothing again', async () => {
  fill({ 'dvc.yaml': GOOD.find(([name]) => name.startsWith('one stage after'))?.[1] ?? '' })
  await here.cairn('repro')
  cpSync(here.dir, theirs, { recursive: true })
  expect((await dvc('status')).stdout).toBe('Data and pipelines are up to date.\n')
  expect((await dvc('repro')).stdout).not.toContain('Running')
})

const BAD: ReadonlyArray<readonly [dvcYaml: string, files?: Record<string, string>]> = [
  [stage('cmd: echo ${nosuch}')],
  [stage('cmd: echo ${mixed[9]}')],
  [stage('cmd: echo ${n.deeper}')],
  [stage('cmd: echo ${}')],
  [stage('cmd: echo ${a..b}')],
  [stage('cmd: echo ${mixed}')],
  [stage('cmd: echo\ndeps: ["${net}"]')],
  [stage('cmd: echo\ndeps: ["${n}"]')],
  [stage('cmd: echo\nouts: ["${nothing}"]')],
  [stage('cmd: echo\nfrozen: ${flags[0]}')],
  [stage('cmd: echo\nwdir: ${n}')],
  [stage('cmd: echo\ndeps:')],
  [stage('cmd: echo\nouts:\n- a:')],
  [stage('cmd: echo\nmetrics:\n- a: {xpath: q}')],
  ['stages:\n'],
  ['stages:\n  s:\n'],
  ['stages:\n  f:\n    foreach: abc\n    do: {cmd: a}\n'],
  ['stages:\n  f:\n    foreach: ${n}\n    do: {cmd: a}\n'],
  ['stages:\n  f:\n    foreach: [1]\n'],
  ['stages:\n  f:\n    do: {cmd: a}\n'],
  ['stages:\n  f:\n    foreach: [1]\n    cmd: b\n    do: {cmd: a}\n'],
  ['stages:\n  f:\n    foreach: [1]\n    do: {cmd: "${key}"}\n'],
  ['stages:\n  x: {matrix: "${net}", cmd: a}\n'],
  ['stages:\n  x: {matrix: {a: "${n}"}, cmd: a}\n'],
  ['stages:\n  x: {matrix: {a: [1]}, do: {cmd: a}}\n'],
  ['vars:\n'],
  ['vars: [1]\n'],
  [`vars: [{a: "\${n}"}]\n${stage('cmd: a')}`],
  [`vars: [nosuch.yaml]\n${stage('cmd: a')}`],
  [`vars: ["v.yaml:q"]\n${stage('cmd: a')}`, { 'v.yaml': 'v: 1' }],
  [`vars: [{n: 1}]\n${stage('cmd: a')}`],
  [`vars: ["v.yaml:v", v.yaml]\n${stage('cmd: a')}`, { 'v.yaml': 'v: 1' }],
  [stage('vars: ["params.yaml:n"]\ncmd: a')],
  [`${stage('cmd: a')}metrics: ["\${nosuch}"]\n`],
  [`${stage('cmd: a')}artifacts: {m: {type: a}}\n`],
  [`${stage('cmd: a')}plots: {a.csv: {}}\n`],
]

describe('both refuse, with the same exit code,', () => {
  test.each(BAD.map(([dvcYaml, files = {}]) => ({ dvcYaml, files })))('$dvcYaml', async ({ dvcYaml, files }) => {
    fill({ 'dvc.yaml': dvcYaml, ...files })
    const [ours, others] = [await here.tryCairn('repro'), await dvc('repro')]
    expect(ours.code).toBe(others.code)
    expect(ours.code).not.toBe(0)
    expect(ours.stderr).toMatch(/^ERROR: .*'(?:\.\/)?dvc\.yaml'.*line \d+, column \d+\n/)
    expect(read(here.dir, 'dvc.yaml')).toBe(dvcYaml)
  })
})

test('both change a plain stage beside templates, and neither touches what a template made', async () => {
  const text = 'vars:\n- a: 1\nstages:\n  f:\n    foreach: ${models}\n    do:\n      cmd: echo ${item}\n  u:\n    cmd: echo u\n'
  fill({ 'dvc.yaml': text })
  for (const args of [
    ['freeze', 'u'],
    ['freeze', 'f@us'],
    ['freeze', 'f'],
    ['unfreeze', 'u'],
    ['remove', 'f@us'],
    ['remove', 'f'],
    ['stage', 'add', '-f', '-n', 'f', 'echo', 'new'],
    ['remove', 'u'],
  ]) {
    const [ours, others] = [await here.tryCairn(...args), await dvc(...args)]
    expect([args, ours.code]).toEqual([args, others.code])
    expect([args, read(here.dir, 'dvc.yaml')]).toEqual([args, read(theirs, 'dvc.yaml')])
  }
})
