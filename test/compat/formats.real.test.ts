import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseLockFile, updateLockFile } from '../../client-cli/src/pipeline/lock-file.ts'
import { updatePipelineFile } from '../../client-cli/src/pipeline/pipeline-edit.ts'
import { parsePipelineFile } from '../../client-cli/src/pipeline/pipeline-file.ts'
import { float, Float } from '../../client-cli/src/pipeline/python-value.ts'
import { parseStageFile, serializeStageFile } from '../../client-cli/src/pipeline/stage-file.ts'
import { stageMd5 } from '../../client-cli/src/pipeline/stage-md5.ts'
import { entriesOf, writeYaml, type YamlValue } from '../../client-cli/src/pipeline/yaml-text.ts'
import { writeLegacyRepository } from '../rig/legacy-repository.ts'
import { CAIRN, createWorkstation, folderDigest, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

let station: Workstation
beforeEach(() => {
  station = createWorkstation()
})
afterEach(() => station.remove())

const file = (name: string) => path.join(station.dir, name)
const read = (name: string) => readFileSync(file(name), 'utf8')
function write(name: string, text: string, mode = 0o644): void {
  mkdirSync(path.dirname(file(name)), { recursive: true })
  writeFileSync(file(name), text)
  chmodSync(file(name), mode)
}

async function dvc(...args: string[]): Promise<string> {
  const done = await run(realParts().dvc, args, { cwd: station.dir, env: station.env })
  if (done.code !== 0) throw new Error(`dvc ${args.join(' ')} exited with ${done.code}\n${done.stdout}\n${done.stderr}`)
  return done.stdout
}

async function init(): Promise<void> {
  station.git('init', '-q', '-b', 'main')
  await dvc('init', '-q')
}

test('what dvc add and import write is written the same, byte for byte', async () => {
  await init()
  const names = [
    'plain.txt',
    'a b.txt',
    '- dash',
    "it's: x",
    'ünï',
    '1',
    'null',
    '#x',
    `${'long name '.repeat(12)}end`,
    'q"uote: x',
  ]
  for (const name of names) write(name, `${name}\n`)
  write('run.sh', '#!/bin/sh\n', 0o755)
  write('folder/one', '1\n')
  write('folder/sub/two', '2\n')
  mkdirSync(file('empty'))
  await dvc('add', '-q', '--', ...names, 'run.sh', 'folder', 'empty')
  station.git('add', '-A')
  station.git('commit', '-qm', 'add')
  await dvc('import', '-q', station.dir, 'run.sh', '-o', 'imported')
  await dvc('import', '-q', station.dir, 'plain.txt', '-o', 'later', '--no-exec')
  await dvc('import-url', '-q', file('plain.txt'), 'from-url')
  for (const name of [...names, 'run.sh', 'folder', 'empty', 'imported', 'later', 'from-url']) {
    const text = read(`${name}.dvc`)
    const stage = parseStageFile(text, `${name}.dvc`)
    expect(serializeStageFile(stage)).toBe(text)
    expect(serializeStageFile(stage, text)).toBe(text)
    if (stage.md5 !== undefined) expect(stageMd5(stage)).toBe(stage.md5)
  }
})

test('what dvc stage add and dvc repro write is written the same, byte for byte', async () => {
  await init()
  write(
    'params.yaml',
    'lr: 0.001\none: 1.0\nbig: 1e16\nsmall: 1.0e-7\nint: 12345678901234567890\ntext: "no"\nquoted: "1"\nnone:\nlist: [1, 2.0, {a: true}]\nnested:\n  b: 1\n  a: {c: [], d: {}}\n  long: this is a long text that goes on and on and on until it is far beyond the margin of the file\n',
  )
  write('other.json', '{"a": {"b": 3}, "f": 2.50}')
  write('whole.toml', 'x = 1\ny = [1.5, 2.0]\n')
  write('src/x', 'x\n')
  write('in.txt', 'in\n')
  mkdirSync(file('work'))
  const params = ['-p', 'lr,one,big,small,int,text,quoted,none,list,nested', '-p', 'other.json:a.b,f', '-p', 'whole.toml:']
  const make = `mkdir -p out && cp in.txt out/data && for f in nc.txt keep.txt keepnc.txt; do echo $f > $f; done; echo '{"acc": 0.5}' > m.json && cp m.json mnc.json && printf 'x,y\\n1,2\\n' > pl.csv && chmod +x nc.txt`
  await dvc(
    'stage',
    'add',
    '-q',
    '-n',
    'prep',
    '-d',
    'src',
    '-d',
    'in.txt',
    ...params,
    '-o',
    'out/data',
    '-O',
    'nc.txt',
    '--outs-persist',
    'keep.txt',
    '--outs-persist-no-cache',
    'keepnc.txt',
    '-m',
    'm.json',
    '-M',
    'mnc.json',
    '--plots',
    'pl.csv',
    '--desc',
    'some desc: with colon',
    '--always-changed',
    make,
  )
  await dvc(
    'stage',
    'add',
    '-q',
    '-n',
    'ünï-1',
    '-w',
    'work',
    '-d',
    '../out/data',
    '-o',
    'y',
    `cp ../out/data y # ${'words and more words '.repeat(8)}`,
  )
  await dvc('repro', '-q')
  const text = read('dvc.yaml')
  const lock = read('dvc.lock')
  const stages = parsePipelineFile(text, 'dvc.yaml', parseLockFile(lock))
  expect(stages.reduce((all: string | undefined, stage) => updatePipelineFile(all, stage), undefined)).toBe(text)
  expect(stages.reduce((all: string | undefined, stage) => updateLockFile(all, stage), undefined)).toBe(lock)
  for (const stage of stages) {
    expect(updatePipelineFile(text, stage)).toBe(text)
    expect(updateLockFile(lock, stage)).toBe(lock)
  }
})

const scalar = fc.oneof(
  fc.string({
    unit: fc.constantFrom(...`ab01 -:#'"\\.,[]{}&*!|>%@?~=_/$\n\t`, 'é', '  ', 'word ', '--epochs ', '😀', 'null', '1e5'),
    maxLength: 120,
  }),
  fc
    .array(fc.string({ unit: fc.constantFrom('a', 'b', '-'), minLength: 1, maxLength: 30 }), { maxLength: 20 })
    .map((words) => words.join(' ')),
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(float),
)
const key = fc.string({ unit: fc.constantFrom(...`ab01 -:#'"\\.,[]{}&*!|>%@?~=_/$`), maxLength: 20 })
const { tree } = fc.letrec<{ tree: YamlValue }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie('tree')), { maxLength: 4 }).map((entries) => new Map<string, YamlValue>(entries)),
  ),
}))

/** JSON that tells Python's types apart, and keeps the order of keys. */
function tagged(value: unknown): unknown {
  if (value instanceof Float) return { f: value.toString() }
  if (typeof value === 'number') return Number.isInteger(value) ? { i: String(value) } : { f: String(value) }
  if (Array.isArray(value)) return { l: value.map(tagged) }
  const entries = entriesOf(value)
  return entries ? { m: entries.map(([name, each]) => [name, tagged(each)]) } : value
}

const EMIT = `
import io, json, sys
from ruamel.yaml import YAML
def plain(v):
    if not isinstance(v, dict): return v
    if "m" in v: return {k: plain(x) for k, x in v["m"]}
    if "l" in v: return [plain(x) for x in v["l"]]
    return float(v["f"]) if "f" in v else int(v["i"])
texts = []
for value in json.load(sys.stdin):
    out = io.StringIO()
    YAML().dump(plain(value), out)
    texts.append(out.getvalue())
json.dump(texts, sys.stdout)
`

test('any value is written as the YAML writer of dvc writes it', async () => {
  const values = fc.sample(
    fc.tuple(key, tree).map(([name, value]) => new Map([[name, value]])),
    1500,
  )
  const python = path.join(path.dirname(realParts().dvc), 'python')
  const done = await run(python, ['-c', EMIT], { cwd: station.dir, input: JSON.stringify(values.map(tagged)) })
  const texts = JSON.parse(done.stdout) as string[]
  values.forEach((value, index) => expect(writeYaml(value)).toBe(texts[index]))
})

test('a comment survives an add, and dvc reads what we wrote', async () => {
  await init()
  write('x', 'one\n')
  await dvc('add', '-q', 'x')
  write('x.dvc', `# ours\n${read('x.dvc').replace('  path: x', '  path: x # here\n  desc: "my x"')}`)
  write('x', 'two\n')
  await station.cairn('add', 'x')
  expect(read('x.dvc')).toContain('# ours\n')
  expect(read('x.dvc')).toContain('path: x # here\n')
  expect(await dvc('status')).toBe('Data and pipelines are up to date.\n')
})

test('what DVC 2 recorded stays as it is until its content is another', async () => {
  await init()
  write('in.txt', 'a\r\nb\r\n')
  write('dvc.yaml', 'stages:\n  s:\n    cmd: cp in.txt out.txt\n    deps:\n    - in.txt\n    outs:\n    - out.txt\n')
  write('out.txt', read('in.txt'))
  write('.gitignore', '/out.txt\n')
  const entry = (name: string) => `    - path: ${name}\n      md5: dd8c6a395b5dd36c56d23275028f526c\n      size: 6\n`
  const recorded = `schema: '2.0'\nstages:\n  s:\n    cmd: cp in.txt out.txt\n    deps:\n${entry('in.txt')}    outs:\n${entry('out.txt')}`
  const after = async (words: string[], act: (...args: string[]) => Promise<unknown>, change: () => void) => {
    write('in.txt', 'a\r\nb\r\n')
    write('out.txt', read('in.txt'))
    write('dvc.lock', recorded)
    change()
    await act(...words)
    return read('dvc.lock')
  }
  const cairn = (...args: string[]) => station.cairn(...args)
  const changed = () => write('in.txt', 'another\n')
  for (const words of [['commit', '-f'], ['repro', '-f'], ['status']]) {
    expect(await after(words, cairn, () => undefined)).toBe(recorded)
    expect(await after(words, dvc, () => undefined)).toBe(recorded)
  }
  for (const words of [['commit', '-f'], ['repro']]) {
    const ours = await after(words, cairn, changed)
    expect(ours).toContain('hash: md5\n')
    expect(ours).toBe(await after(words, dvc, changed))
  }
})

test('metrics are shown as dvc shows them', async () => {
  await init()
  write(
    'dvc.yaml',
    'metrics:\n- s.json\nstages:\n  a:\n    cmd: echo 1\n    metrics:\n    - y.yaml:\n        cache: false\n    - m.json:\n        cache: false\n',
  )
  write('m.json', '{"z": 1, "acc": 0.923456789, "n": {"loss": 1, "l": [1, 2], "s": "txt", "nul": null, "b": true}, "nan": NaN}')
  write('y.yaml', 'acc: 1.0\nbig: 12345678.123456\n')
  write('s.json', '0.5')
  station.git('add', '-A')
  station.git('commit', '-qm', 'one')
  for (const tag of ['0.1', '0.10', '0.9']) station.git('tag', tag)
  const calls = {
    clean: [['-T'], ['-a', '--json'], ['--precision', '2']],
    dirty: [[], ['-a'], ['-T', '--md'], ['m.json']],
    missing: [[], ['--json']],
  }
  for (const [state, argLists] of Object.entries(calls)) {
    if (state === 'dirty') write('m.json', '{"acc": 0.5}')
    if (state === 'missing') rmSync(file('m.json'))
    for (const call of argLists) {
      const [theirs, ours] = await Promise.all(
        [realParts().dvc, CAIRN].map((client) =>
          run(client, ['metrics', 'show', ...call], { cwd: station.dir, env: station.env }),
        ),
      )
      expect([state, call, ours?.code, ours?.stdout, ours?.stderr]).toEqual([
        state,
        call,
        theirs?.code,
        theirs?.stdout,
        theirs?.stderr,
      ])
    }
  }
})

test('a migrated repository of 2019 is clean to dvc, which checks it out, shows its metrics and has nothing to run', async () => {
  const { tags } = writeLegacyRepository(station)
  const refused = await run(realParts().dvc, ['status'], { cwd: station.dir, env: station.env })
  expect(refused.code).not.toBe(0)
  await station.cairn('migrate')
  expect(await dvc('status')).toBe('Data and pipelines are up to date.\n')
  expect(await dvc('repro')).toContain('Data and pipelines are up to date.')
  rmSync(file('data'), { recursive: true })
  rmSync(file('model/model.txt'))
  await dvc('checkout')
  expect(folderDigest(file('data'))).toBe(tags[2]?.data)
  expect(readFileSync(file('model/model.txt'), 'latin1')).toBe(tags[2]?.model)
  expect(await dvc('metrics', 'show')).toContain(tags[2]?.accuracy)
  station.git('add', '-A')
  station.git('commit', '-qm', 'migrated')
  expect(existsSync(file('load.dvc'))).toBe(false)
  expect((await station.cairn('status')).stdout).toBe('Data and pipelines are up to date.\n')
})
