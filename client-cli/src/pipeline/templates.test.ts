import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FileTree } from '../repo/file-tree.ts'
import { loadPipelines } from './load.ts'
import { removeFromPipelineFile, updatePipelineFile } from './pipeline-edit.ts'
import type { Stage } from './stage.ts'

const PARAMS = `n: 5
f: 1.0
flags: [true, false]
nothing:
text: my model
layers: [1, 2]
net: {lr: 0.1, name: my model, sizes: [1, a b, true], deep: true, wide: false, none: , empty: {}, opt: {k: 1}}
models:
  us: {lr: 0.1}
  gb: {lr: 2.0}
`

const load = (dvcYaml: string, files: Record<string, string> = {}, parsing?: FileTree['parsing']) => {
  const all: Record<string, string> = { 'params.yaml': PARAMS, 'dvc.yaml': dvcYaml, ...files }
  return loadPipelines({
    rev: 'workspace',
    read: (path) => Promise.resolve(all[path] === undefined ? undefined : Buffer.from(all[path])),
    stageFiles: () => Promise.resolve(Object.keys(all).filter((file) => file.endsWith('dvc.yaml') || file.endsWith('dvc.lock'))),
    ...(parsing && { parsing }),
  })
}
const stagesOf = async (...args: Parameters<typeof load>): Promise<Stage[]> => (await load(...args)).stages
const names = async (...args: Parameters<typeof load>) => (await stagesOf(...args)).map((stage) => stage.name)
/** The command of a stage `s` whose text is given. */
const command = async (cmd: string, files?: Record<string, string>, parsing?: FileTree['parsing']) =>
  (await stagesOf(`stages:\n  s:\n    cmd: ${cmd}\n`, files, parsing))[0]?.cmd

describe('${…} in a command', () => {
  test.each([
    ['echo ${n} ${f} ${flags[0]} ${nothing}', 'echo 5 1.0 true None'],
    ['echo ${ n } ${net . opt.k} ${layers.1} ${layers.-1} ${net[opt][k]}', 'echo 5 1 2 2 1'],
    ['echo \\${n} ${n}', 'echo ${n} 5'],
    ['echo ${n', 'echo ${n'],
    ['${text}', 'my model'],
    ['run ${net}', "run --lr 0.1 --name 'my model' --sizes 1 'a b' True --deep --none None --opt.k 1"],
  ])('%s is %s', async (written, meant) => {
    expect(await command(written)).toBe(meant)
  })

  test('turns a mapping into options the way the configuration says', async () => {
    expect(await command('run ${net}', {}, { bool: 'boolean_optional', list: 'append' })).toBe(
      "run --lr 0.1 --name 'my model' --sizes 1 --sizes 'a b' --sizes True --deep --no-wide --none None --opt.k 1",
    )
  })

  test('of a list is replaced in every line', async () => {
    const [stage] = await stagesOf('stages:\n  s:\n    cmd:\n    - echo ${n}\n    - echo ${text}\n')
    expect(stage?.cmd).toEqual(['echo 5', 'echo my model'])
  })

  test('leaves what values hold as it is: no second round, no escapes', async () => {
    expect(await command('echo ${a}', { 'params.yaml': 'a: ${n} \\${m}\n' })).toBe('echo ${n} \\${m}')
  })

  test('never breaks on any text', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom('$', '{', '}', '\\', 'n', '.', '[', ']', ' ', '-', '0') }),
        async (text) => {
          const yaml = `stages:\n  s:\n    cmd: 'echo ${text}'\n`
          const done = await stagesOf(yaml).catch((error: Error) => error)
          if (done instanceof Error)
            expect(done.message).toMatch(/^failed to parse 'stages\.s\.cmd' in 'dvc\.yaml': .*, line 3, column 10$/)
          else if (!/\$\{.*\}/.test(text)) expect(done[0]?.cmd).toBe(`echo ${text}`.replaceAll('\\${', '${'))
        },
      ),
      { numRuns: 300 },
    )
  })
})

test('${…} stands for keys and values of every part of a stage', async () => {
  const [stage] = await stagesOf(
    'stages:\n  s:\n    cmd: a\n    wdir: d${n}\n    deps: ["in${n}"]\n    params: [net.lr, "p${n}.yaml": ["a${n}"]]\n' +
      '    outs:\n    - "o${n}": {cache: false, desc: "${text}", labels: ["${text}"]}\n    meta: {k: "${n}", l: ["${flags[1]}"]}\n',
  )
  expect(stage).toMatchObject({
    wdir: 'd5',
    deps: [{ path: 'd5/in5' }],
    params: [
      { path: 'd5/params.yaml', keys: ['net.lr'] },
      { path: 'd5/p5.yaml', keys: ['a5'] },
    ],
    outs: [{ path: 'd5/o5', cache: false, desc: 'my model', extra: { labels: ['my model'] } }],
    extra: { meta: { k: 5, l: [false] } },
  })
})

test('a stage knows which params it took from which file', async () => {
  const [, us] = await stagesOf(
    'vars: [{own: 1}]\nstages:\n  a: {cmd: "${text}"}\n  m:\n    foreach: ${models}\n    do: {cmd: "${item.lr} ${n} ${own} ${key}"}\n',
  )
  expect(us?.template?.group).toBe('m')
  expect([...(us?.template?.used.get('params.yaml') ?? [])]).toEqual([
    ['models.us.lr', 0.1],
    ['n', 5],
  ])
})

describe('vars', () => {
  test('come from YAML, JSON, TOML and Python files, whole or by key, and from the list itself; mappings grow together', async () => {
    const files = {
      'a.yaml': 'a: 1\n',
      'b.json': '{"b": {"x": 1.0}, "c": "c", "unused": 0}',
      'd.toml': '[t]\nx = 1.5\n',
      'e.py': 'class E:\n    k = "py"\n',
    }
    const yaml =
      'vars: [a.yaml, "b.json:b,c", d.toml, e.py, {net: {more: 7}}, a.yaml]\n' +
      'stages:\n  s:\n    cmd: "${a} ${b.x} ${c} ${t.x} ${E.k} ${net.more} ${net.lr} ${n}"\n'
    expect((await stagesOf(yaml, files))[0]?.cmd).toBe('1 1.0 c 1.5 py 7 0.1 5')
  })

  test('of a stage are its own, and their files lie in its folder', async () => {
    const yaml =
      'stages:\n  s:\n    vars: [{q: 1, net: {more: 9}}, v.yaml]\n    wdir: w${n}\n    cmd: "${q} ${a} ${net.more} ${n}"\n'
    expect((await stagesOf(yaml, { 'w5/v.yaml': 'a: 2' }))[0]?.cmd).toBe('1 2 9 5')
    await expect(stagesOf(`${yaml}  t: {cmd: "\${q}"}\n`, { 'w5/v.yaml': 'a: 2' })).rejects.toThrow("Could not find 'q'")
  })

  test('lie beside the dvc.yaml that names them', async () => {
    const files = {
      'sub/dvc.yaml': 'vars: [v.yaml]\nstages:\n  s: {cmd: "${a} ${n}"}\n',
      'sub/v.yaml': 'a: 1',
      'sub/params.yaml': 'n: 2',
    }
    expect((await stagesOf('stages: {}\n', files))[0]).toMatchObject({ address: 'sub/dvc.yaml:s', cmd: '1 2' })
  })
})

describe('foreach makes', () => {
  const foreach = (values: string, cmd = 'echo ${item}') =>
    `stages:\n  f:\n    foreach: ${values}\n    do:\n      cmd: "${cmd}"\n`

  test('a stage for each value of a list, named by it, the same name once', async () => {
    expect(await names(foreach('[1, 2.0, true, null, "a b", "p:q", 1]'))).toEqual([
      'f@1',
      'f@2.0',
      'f@true',
      'f@None',
      'f@a b',
      'f@p:q',
    ])
  })

  test("a stage for each value of a params file's list, whose booleans are Python's", async () => {
    expect(await names(foreach('${flags}'))).toEqual(['f@True', 'f@False'])
    expect((await stagesOf(foreach('["${flags[0]}", "v${n}"]'))).map(({ name, cmd }) => [name, cmd])).toEqual([
      ['f@True', 'echo true'],
      ['f@v5', 'echo v5'],
    ])
  })

  test('a stage for each place of a list with mappings or lists in it', async () => {
    const made = await stagesOf(foreach('[{a: 1}, {a: "${n}"}]', 'echo ${item.a} ${item}'))
    expect(made.map(({ name, cmd }) => [name, cmd])).toEqual([
      ['f@0', 'echo 1 --a 1'],
      ['f@1', 'echo 5 --a 5'],
    ])
  })

  test('a stage for each key of a mapping', async () => {
    expect((await stagesOf(foreach('${models}', '${key} ${item.lr}'))).map(({ name, cmd }) => [name, cmd])).toEqual([
      ['f@us', 'us 0.1'],
      ['f@gb', 'gb 2.0'],
    ])
    expect(await names(foreach('{1: a, x: null, "${n}": b}'))).toEqual(['f@1', 'f@x', 'f@5'])
  })

  test('nothing of nothing', async () => {
    expect(await names(foreach('[]'))).toEqual([])
  })

  test('hides vars of the name item, in its own stages only', async () => {
    const made = await stagesOf(`vars: [{item: mine}]\n${foreach('[1]')}  z: {cmd: "\${item}"}\n`)
    expect(made.map(({ cmd }) => cmd)).toEqual(['echo 1', 'mine'])
  })
})

describe('matrix makes', () => {
  test('every combination, the last list turning fastest; mappings and lists go by their place', async () => {
    const made = await stagesOf(
      'stages:\n  x:\n    matrix:\n      m: [cnn, 1.0]\n      o: [{a: 1}, "${net}"]\n      r: ${flags}\n    cmd: "${item.m} ${item.o.a} ${key}"\n',
    ).catch((error: Error) => error.message)
    expect(made).toContain("failed to parse 'stages.x@cnn-o1-True.cmd' in 'dvc.yaml': Could not find 'item.o.a'")
    expect(
      await names(
        'stages:\n  x:\n    matrix:\n      m: [cnn, 1.0]\n      o: [{a: 1}, "${net}"]\n      r: ${flags}\n    cmd: "${key}"\n',
      ),
    ).toEqual(
      [
        'cnn-o0-True',
        'cnn-o0-False',
        'cnn-o1-True',
        'cnn-o1-False',
        '1.0-o0-True',
        '1.0-o0-False',
        '1.0-o1-True',
        '1.0-o1-False',
      ].map((key) => `x@${key}`),
    )
  })

  test('as many stages as the product of its lists', async () => {
    const axis = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}$/), { maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(axis, axis, async (a, b) => {
        const made = await names(
          `stages:\n  x:\n    matrix:\n      a: ${JSON.stringify(a)}\n      b: ${JSON.stringify(b)}\n    cmd: "\${key}"\n`,
        )
        expect(made).toEqual(a.flatMap((one) => b.map((other) => `x@${one}-${other}`)))
      }),
      { numRuns: 30 },
    )
  })

  test('no more stages than a computer holds', async () => {
    const lists = Array.from({ length: 10 }, (_, index) => `l${index}: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]`).join(', ')
    await expect(stagesOf(`stages:\n  x:\n    matrix: {${lists}}\n    cmd: a\n`)).rejects.toThrow(
      '10000000000 stages are too many',
    )
  })
})

test('what a template made finds its record in dvc.lock', async () => {
  const lock = "schema: '2.0'\nstages:\n  f@a b:\n    cmd: echo a b\n"
  const [stage] = await stagesOf('stages:\n  f:\n    foreach: [a b]\n    do: {cmd: "echo ${item}"}\n', { 'dvc.lock': lock })
  expect(stage?.lockedCmd).toBe('echo a b')
})

test('the sections at the top are resolved too', async () => {
  const { files } = await load(
    'params: ["p${n}.yaml"]\nmetrics: ["m${n}"]\nplots: [{"${n}.csv": {x: "${text}", title: "t ${n}"}}]\n' +
      'artifacts: {"m${n}": {path: "a${n}", labels: [l], type: model}}\ndatasets: [{name: d, type: url, url: "s3://x/${n}"}]\n',
  )
  expect(files.get('dvc.yaml')).toMatchObject({
    params: ['p5.yaml'],
    metrics: ['m5'],
    plots: [{ id: '5.csv', properties: { x: 'my model', title: 't 5' } }],
    artifacts: new Map([['m5', { path: 'a5', labels: ['l'], type: 'model' }]]),
    datasets: [{ name: 'd', type: 'url', url: 's3://x/5' }],
  })
})

describe('an error names file, key and line:', () => {
  test.each([
    [
      'stages:\n  s:\n    cmd: echo ${q}\n',
      `failed to parse 'stages.s.cmd' in 'dvc.yaml': Could not find 'q', line 3, column 10`,
    ],
    ['stages:\n  s: {cmd: "${layers.5}"}\n', `Could not find 'layers.5'`],
    ['stages:\n  s: {cmd: "${n.a}"}\n', `Could not find 'n.a'`],
    ['stages:\n  s: {cmd: "echo ${}"}\n', `'\${}' is not a name`],
    ['stages:\n  s: {cmd: "echo ${a..b}"}\n', `'\${a..b}' is not a name`],
    ['stages:\n  s: {cmd: "echo ${layers}"}\n', `Cannot interpolate data of type 'list', line 2, column 12`],
    ['stages:\n  s: {cmd: a, deps: ["${net}"]}\n', `'stages.s.deps' in 'dvc.yaml': Cannot interpolate data of type 'dict'`],
    ['stages:\n  s: {cmd: a, deps: ["${n}"]}\n', `expected str, in stages -> s -> deps -> 0`],
    ['stages:\n  s: {cmd: a, frozen: "${flags[0]}"}\n', `expected bool, in stages -> s -> frozen`],
    [
      'stages:\n  s:\n    foreach: abc\n    do: {cmd: a}\n',
      `'stages.s.foreach' in 'dvc.yaml': expected a list or mapping, got str, line 3`,
    ],
    ['stages:\n  s:\n    foreach: ${q}\n    do: {cmd: a}\n', `Could not find 'q'`],
    ['stages:\n  s:\n    foreach: [1]\n', `required key 'do' not provided, in stages -> s`],
    ['stages:\n  s:\n    foreach: [1]\n    cmd: b\n    do: {cmd: a}\n', `extra keys not allowed, in stages -> s -> cmd`],
    [
      'stages:\n  s:\n    foreach: [1]\n    do:\n      vars: [{item: 1}]\n      cmd: a\n',
      `attempted to modify reserved key 'item'`,
    ],
    ['stages:\n  s: {matrix: "${net}", cmd: a}\n', `expected a mapping, in stages -> s -> matrix`],
    ['stages:\n  s: {matrix: {a: "${n}"}, cmd: a}\n', `expected a list, got a number`],
    ['vars: {a: 1}\n', `expected a list, in vars, line 1`],
    ['vars: [1]\nstages: {}\n', `expected str, in vars -> 0`],
    ['vars: [{a: "${n}"}]\n', `failed to parse 'vars' in 'dvc.yaml': interpolating is not allowed, line 1`],
    ['vars: [nosuch.yaml]\n', `'nosuch.yaml' does not exist`],
    ['vars: ["a.yaml:q"]\n', `could not find 'q' in 'a.yaml'`],
    ['vars: [l.yaml]\n', `expected a mapping in file 'l.yaml', got a list`],
    ['vars: [{n: 1}]\n', `cannot redefine 'n' from 'vars[0]' as it already exists in 'params.yaml'`],
    ['vars: [{net: {lr: 1}}]\n', `cannot redefine 'net.lr' from 'vars[0]'`],
    ['vars: ["a.yaml:a", "a.yaml:a"]\n', `cannot load 'a.yaml:a' as it's partially loaded already`],
    ['vars: ["a.yaml:a", a.yaml]\n', `cannot load 'a.yaml' as it's partially loaded already`],
    ['vars: ["params.yaml:n"]\n', `cannot partially load 'params.yaml:n' as it's already loaded`],
    ['stages:\n  s: {cmd: a, vars: [{n: 1}]}\n', `'stages.s.vars' in 'dvc.yaml': cannot redefine 'n' from 's.vars[0]'`],
    ['metrics: ["${q}"]\n', `failed to parse 'metrics' in 'dvc.yaml': Could not find 'q', line 1, column 11`],
    ['artifacts: {m: {type: a}}\n', `required key 'path' not provided, in artifacts -> m`],
  ])('%j', async (yaml, message) => {
    const error = await stagesOf(yaml, { 'a.yaml': 'a: 1\nb: 2\n', 'l.yaml': '[1]' }).then(
      () => undefined,
      (failed: unknown) => failed,
    )
    expect(error).toMatchObject({ code: 'STAGE_FILE_INVALID' })
    expect((error as Error).message).toContain(message)
    expect((error as Error).message).not.toContain('\n')
  })
})

describe('a file with templates', () => {
  const TEXT = `vars: [{a: 1}]  # ours
stages:
  # one
  gen:
    # made
    foreach: [1, 2]  # twice
    do:
      cmd: echo \${item} > o\${item}
  # two
  t: {cmd: "echo \${a}"} # t
  u:
    cmd: echo u # u
`

  test('keeps its comments, its order and its templates when a plain stage is changed', async () => {
    const u = (await stagesOf(TEXT)).find(({ name }) => name === 'u') as Stage
    expect(updatePipelineFile(TEXT, u)).toBe(TEXT)
    const edited = updatePipelineFile(TEXT, { ...u, frozen: true })
    expect(edited).toBe(`${TEXT}    frozen: true\n`)
  })

  test('keeps them when a plain stage goes', () => {
    expect(removeFromPipelineFile(TEXT, 'dvc.yaml', 'u')).toBe(TEXT.replace('  u:\n    cmd: echo u # u\n', ''))
  })

  test('gives a stage the place of the template whose name it takes', async () => {
    const u = (await stagesOf(TEXT)).find(({ name }) => name === 'u') as Stage
    const edited = updatePipelineFile(TEXT, { ...u, name: 'gen', cmd: 'echo new' })
    expect(edited).toMatch(/ {2}gen:\s+# made\n {4}cmd: echo new\n {2}# two\n/)
    expect(await names(edited)).toEqual(['gen', 't', 'u'])
  })
})
