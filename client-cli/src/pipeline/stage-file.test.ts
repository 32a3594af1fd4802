import { parseDigest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { describe, expect, test } from 'vitest'
import { parseStageFile, serializeStageFile } from './stage-file.ts'
import type { Out, Stage } from './stage.ts'

const LOAD = `cmd: python3 code/load.py
deps:
- md5: 191c2d5e1cfc5bac140469574de28374
  path: config/load.json
md5: d03d30b72d60426ebd0ec08de18db152
outs:
- cache: true
  md5: 45b1eb2ff8072c35f82255c3c22c1ae9.dir
  metric: false
  path: data
wdir: .
`

const out = (path: string, rest: Partial<Out> = {}): Out => ({
  path,
  def: path,
  cache: true,
  persist: false,
  push: true,
  ...rest,
})
const stage = (file: string, rest: Partial<Stage>): Stage => ({
  address: file,
  file,
  kind: 'data',
  wdir: '',
  deps: [],
  params: [],
  outs: [],
  frozen: false,
  alwaysChanged: false,
  ...rest,
})
const withFirstOut = (parsed: Stage, change: Partial<Out>): Stage => ({
  ...parsed,
  outs: parsed.outs.map((each, at) => (at === 0 ? { ...each, ...change } : each)),
})

function failure(text: string, file = 'bad.dvc'): string {
  try {
    parseStageFile(text, file)
  } catch (error) {
    if (error instanceof CairnError) {
      expect(error.exit).toBe(255)
      expect(error.message).not.toContain('\n')
      return error.message
    }
    throw error
  }
  throw new Error('the text was accepted')
}

describe('today’s files', () => {
  test('an added file and an added directory have the bytes dvc writes', () => {
    const file = stage('foo.dvc', {
      outs: [out('foo', { recorded: { digest: parseDigest('d3b07384d113edec49eaa6238ad5ff00'), size: 4 } })],
    })
    expect(serializeStageFile(file)).toBe('outs:\n- md5: d3b07384d113edec49eaa6238ad5ff00\n  size: 4\n  hash: md5\n  path: foo\n')
    const folder = stage('data.dvc', {
      outs: [out('data', { recorded: { digest: parseDigest('c900457a54386b2fe4f92546db792811.dir'), size: 24, nfiles: 5 } })],
    })
    expect(serializeStageFile(folder)).toBe(
      'outs:\n- md5: c900457a54386b2fe4f92546db792811.dir\n  size: 24\n  nfiles: 5\n  hash: md5\n  path: data\n',
    )
    const program = stage('a b.dvc', {
      outs: [out('a b', { recorded: { digest: parseDigest('3e2b31c72181b87149ff995e7202c0e3'), size: 10, isexec: true } })],
    })
    expect(serializeStageFile(program)).toBe(
      'outs:\n- md5: 3e2b31c72181b87149ff995e7202c0e3\n  size: 10\n  isexec: true\n  hash: md5\n  path: a b\n',
    )
  })

  test('a digest of digits is quoted, and read unquoted all the same', () => {
    const digits = '12345678901234567890123456789012'
    const text = serializeStageFile(stage('x.dvc', { outs: [out('x', { recorded: { digest: parseDigest(digits), size: 1 } })] }))
    expect(text).toContain(`md5: '${digits}'`)
    expect(parseStageFile(`outs:\n- md5: ${digits}\n  hash: md5\n  path: x\n`, 'x.dvc').outs[0]?.recorded?.digest).toBe(digits)
  })

  test('an import keeps its keys, their order and its source', () => {
    const text = `md5: c66bac42019a00d7b8147b58cd69c310
frozen: true
deps:
- path: d/s
  repo:
    url: /srv/imsrc
    rev: v1
    rev_lock: d9dca0ad2f28ff06285f7dae5b1b1a1c2b8c4a55
outs:
- md5: d47d4a5724fbbedaeb8779d55bad4504.dir
  size: 2
  nfiles: 1
  hash: md5
  path: ds
`
    const parsed = parseStageFile(text, 'ds.dvc')
    expect(parsed).toMatchObject({
      kind: 'data',
      frozen: true,
      deps: [{ path: 'd/s', source: { repo: { url: '/srv/imsrc', rev: 'v1' } } }],
    })
    expect(serializeStageFile(parsed)).toBe(text)
    const http = `md5: 2c3f627e2dba6937a0e91628ef3d011a
frozen: true
deps:
- checksum: '"abc123"'
  size: 6
  hash: md5
  path: http://127.0.0.1:8766/f.txt
outs:
- md5: b1946ac92492d2347c6235b4d2611184
  size: 6
  hash: md5
  path: f.txt
`
    const imported = parseStageFile(http, 'f.txt.dvc')
    expect(imported.deps[0]?.source).toEqual({ url: 'http://127.0.0.1:8766/f.txt', checksum: '"abc123"' })
    expect(serializeStageFile(imported)).toBe(http)
  })

  test('a cloud-versioned directory is known by its list of files, and written back as it was', () => {
    const text = `outs:
- hash: md5
  path: d
  files:
  - relpath: b
    md5: 26ab0db90d72e28ad0ba1e22ee510510
    size: 2
    cloud:
      v:
        etag: 26ab0db90d72e28ad0ba1e22ee510510
        version_id: 2b7345bd
`
    const parsed = parseStageFile(text, 'd.dvc')
    expect(parsed.outs[0]?.recorded?.digest).toMatch(/^[0-9a-f]{32}\.dir$/)
    expect(serializeStageFile(parsed)).toBe(text)
    expect(serializeStageFile(parsed, text)).toBe(text)
  })

  test('paths are root-relative, whatever the file’s folder and wdir', () => {
    const parsed = parseStageFile('wdir: ..\nouts:\n- hash: md5\n  path: other/x\n', 'sub/x.dvc')
    expect(parsed).toMatchObject({ address: 'sub/x.dvc', wdir: '', outs: [{ path: 'other/x', def: 'other/x' }] })
    expect(serializeStageFile(parsed)).toBe('wdir: ..\nouts:\n- hash: md5\n  path: other/x\n')
  })
})

describe('the files of 2019', () => {
  test('a stage of DVC 0.30 is read as it is and written back byte for byte', () => {
    const parsed = parseStageFile(LOAD, 'load.dvc')
    expect(parsed).toMatchObject({
      kind: 'legacy',
      cmd: 'python3 code/load.py',
      deps: [{ path: 'config/load.json', recorded: { digest: 'legacy-191c2d5e1cfc5bac140469574de28374' } }],
      outs: [{ path: 'data', recorded: { digest: 'legacy-45b1eb2ff8072c35f82255c3c22c1ae9.dir' } }],
    })
    expect(serializeStageFile(parsed)).toBe(LOAD)
    expect(serializeStageFile(parsed, LOAD)).toBe(LOAD)
  })

  test('an entry that is saved anew gets hash and sizes in their places; the others keep their legacy digest', () => {
    const saved = withFirstOut(parseStageFile(LOAD, 'load.dvc'), {
      recorded: { digest: parseDigest('d3b07384d113edec49eaa6238ad5ff01.dir'), size: 40, nfiles: 3 },
    })
    const text = `cmd: python3 code/load.py
deps:
- md5: 191c2d5e1cfc5bac140469574de28374
  path: config/load.json
md5: d03d30b72d60426ebd0ec08de18db152
outs:
- cache: true
  hash: md5
  md5: d3b07384d113edec49eaa6238ad5ff01.dir
  metric: false
  nfiles: 3
  path: data
  size: 40
wdir: .
`
    expect(serializeStageFile(saved, LOAD)).toBe(text)
    expect(serializeStageFile(saved)).toBe(text)
  })

  test('a metric’s type and xpath are a mapping', () => {
    const text = 'outs:\n- cache: false\n  metric:\n    type: json\n    xpath: acc\n  path: m.json\nwdir: .\n'
    const parsed = parseStageFile(text, 'm.dvc')
    expect(parsed.outs[0]?.metric).toEqual({ type: 'json', xpath: 'acc' })
    expect(serializeStageFile(parsed)).toBe(text)
    expect(parseStageFile('outs:\n- cache: false\n  metric: true\n  path: m\nwdir: .\n', 'm.dvc').outs[0]?.metric).toEqual({})
  })

  test('a file of 0.55 keeps its order, `frozen` and `persist` keep their words', () => {
    const text = `md5: 0123456789abcdef0123456789abcdef
cmd: a
frozen: true
outs:
- md5: 45b1eb2ff8072c35f82255c3c22c1ae9
  path: x
  cache: true
  metric: false
  persist: true
`
    const parsed = parseStageFile(text, 'x.dvc')
    expect(parsed).toMatchObject({ kind: 'legacy', frozen: true })
    const saved = withFirstOut(parsed, { recorded: { digest: parseDigest('d3b07384d113edec49eaa6238ad5ff01'), size: 4 } })
    expect(serializeStageFile({ ...saved, cmd: 'b' }, text)).toBe(`md5: 0123456789abcdef0123456789abcdef
cmd: b
frozen: true
outs:
- md5: d3b07384d113edec49eaa6238ad5ff01
  path: x
  cache: true
  metric: false
  persist: true
  hash: md5
  size: 4
wdir: .
`)
  })

  test('a `.dvc` file of 2.x without flags is data with a legacy digest', () => {
    const parsed = parseStageFile('outs:\n- md5: dd8c6a395b5dd36c56d23275028f526c\n  size: 6\n  path: crlf.txt\n', 'crlf.txt.dvc')
    expect(parsed).toMatchObject({
      kind: 'data',
      outs: [{ recorded: { digest: 'legacy-dd8c6a395b5dd36c56d23275028f526c', size: 6 } }],
    })
  })
})

describe('editing', () => {
  const before = 'outs:\n- md5: dd8c6a395b5dd36c56d23275028f526c\n  size: 6\n  path: x\n'

  test('an entry of 2.x that is added again gets `hash` at its end', () => {
    const text = serializeStageFile(
      stage('x.dvc', { outs: [out('x', { recorded: { digest: parseDigest('d3b07384d113edec49eaa6238ad5ff00'), size: 4 } })] }),
      before,
    )
    expect(text).toBe('outs:\n- md5: d3b07384d113edec49eaa6238ad5ff00\n  size: 4\n  path: x\n  hash: md5\n')
  })

  test('comments, flow style and what people wrote survive', () => {
    const text =
      '# head\nouts:\n  # about\n  - path: x # inl\n    md5: dd8c6a395b5dd36c56d23275028f526c\n    desc: my data\nmeta:\n  a: [1, 2]\n'
    const edited = serializeStageFile(
      stage('x.dvc', { outs: [out('x', { recorded: { digest: parseDigest('d3b07384d113edec49eaa6238ad5ff00'), size: 4 } })] }),
      text,
    )
    expect(edited).toBe(
      '# head\nouts:\n  # about\n  - path: x # inl\n    md5: d3b07384d113edec49eaa6238ad5ff00\n    desc: my data\n    size: 4\n    hash: md5\nmeta:\n  a: [1, 2]\n',
    )
  })

  test('the same content leaves any formatting alone', () => {
    const odd = '{"outs": [{path: x,   md5: dd8c6a395b5dd36c56d23275028f526c, size: 6}]}   # by hand\r\n'
    expect(serializeStageFile(parseStageFile(odd, 'x.dvc'), odd)).toBe(odd)
  })
})

describe('errors are one line that names file and place', () => {
  test.each([
    ['outs:\n- path: 5\n', `'./bad.dvc' validation failed: expected str, in outs -> 0 -> path, line 2, column 9`],
    ['outs:\n- md5: a\n  path: x\n', 'expected an md5'],
    ['outs:\n- size: 4\n', `required key 'path' not provided, in outs -> 0, line 2`],
    ['foo: 1\n', 'extra keys not allowed, in foo, line 1'],
    ['outs:\n- path: x\n  foo: 1\n', 'extra keys not allowed, in outs -> 0 -> foo, line 3'],
    ['outs: x\n', 'expected a list, in outs'],
    ['- a\n', 'expected a mapping'],
    ['outs:\n- path: x\n  size: -1\n', 'expected int'],
    ['outs:\n- path: x\n  cache: 1\n', 'expected bool'],
    ['outs: []\nouts: []\n', 'Map keys must be unique, line 2'],
    ['outs:\n- path: ../x\n', 'outside of the repository'],
    ['outs:\n- path: /etc/x\n', 'outside of the repository'],
    ['outs:\n- path: .\n', 'the repository itself'],
    ['outs:\n- path: .git/hooks/post-checkout\n', 'Git or DVC keeps'],
    ['outs:\n- path: a/.DVC/config\n', 'Git or DVC keeps'],
    ['wdir: ../..\n', 'outside of the repository'],
    ['outs:\n- path: x\n- path: ./x\n', 'specified more than once'],
    ['outs:\n- path: x\n  metric: {type: xml}\n', `'xml' is no type of metric`],
    ['outs:\n\t- path: x\n', 'Tabs are not allowed'],
    ['a: *x\n', 'unresolved alias'],
  ])('%j', (text, message) => {
    expect(failure(text)).toContain(message)
  })

  test('merge conflicts have their own words', () => {
    const text = 'outs:\n<<<<<<< HEAD\n- md5: a\n=======\n- md5: b\n>>>>>>> other\n  path: x\n'
    expect(failure(text)).toBe(`'./bad.dvc' is invalid (possible merge conflicts)`)
  })

  test('a dependency may lie outside', () => {
    expect(parseStageFile('cmd: a\ndeps:\n- path: ../x\n- path: /srv/y\n', 'sub/x.dvc').deps.map((dep) => dep.path)).toEqual([
      'x',
      '/srv/y',
    ])
  })

  test('a document that names a node too often is refused', () => {
    const bomb = `a: &a [${'x, '.repeat(9)}x]\n${[...'bcdefgh'].map((name, at) => `${name}: &${name} [${Array(10).fill(`*${'abcdefg'[at]}`).join(', ')}]\n`).join('')}`
    expect(failure(bomb)).toContain('too many aliases')
  })
})
