import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readBlockYaml } from './yaml-block.ts'
import type { YamlNode } from './yaml-node.ts'
import { readAnyYaml, valueOf } from './yaml-read.ts'

/** Without the places of nulls: there is nothing to point at. */
function comparable(node: YamlNode | undefined): unknown {
  if (!node) return undefined
  const place = [node.line, node.column]
  if (node.kind === 'scalar') return node.value === null ? null : [...place, node.value, node.source]
  if (node.kind === 'seq') return [...place, node.nodes.map(comparable)]
  return [...place, node.entries.map((entry) => [entry.key, entry.name, entry.keyLine, entry.keyColumn, comparable(entry.node)])]
}

test('the files that dvc writes are read here', () => {
  const lock = `schema: '2.0'
stages:
  prep:
    cmd:
    - echo a
    - 'b: c'
    deps:
    - path: in.txt
      hash: md5
      md5: '12345678901234567890123456789012'
      size: 2
    params:
      params.yaml:
        nested:
          n:
          l:
          - - 1
            - 2.0
          - {}
        e: []
`
  const node = readBlockYaml(lock)
  expect(node && valueOf(node)).toEqual(new Map(Object.entries({ schema: '2.0', stages: expect.any(Map) as unknown })))
  expect(comparable(node)).toEqual(comparable(readAnyYaml(lock, 'dvc.lock')))
  const added = 'outs:\n- md5: d3b07384d113edec49eaa6238ad5ff00\n  size: 4\n  hash: md5\n  path: a b\n'
  expect(comparable(readBlockYaml(added))).toEqual(comparable(readAnyYaml(added, 'x')))
})

test('white space that is no blank belongs to the text: a file may be called so', () => {
  const text = 'a: x\u00a0\n\u3000b\u3000: \u00a0\nc:\n- \u2003\n- \u00a0d: e\u3000\n'
  const node = readBlockYaml(text)
  expect(node && valueOf(node)).toEqual(
    new Map<string, unknown>([
      ['a', 'x\u00a0'],
      ['\u3000b\u3000', '\u00a0'],
      ['c', ['\u2003', new Map([['\u00a0d', 'e\u3000']])]],
    ]),
  )
  expect(comparable(node)).toEqual(comparable(readAnyYaml(text, 'x')))
})

test('what people and folded lines look like is read here', () => {
  const text = `# of the team
a: b # c
words: one
  two | three
  'four'
quoted: 'one
  it''s two'
below:
  one two
list: [a, 1, -2.5, x/y]  # short
map: {lr: 0.1, name: a b}
escaped: "a \\"b\\"\\n"
cmds:
- echo a >
  out/b
- last # one
`
  const node = readBlockYaml(text)
  expect(node).toBeDefined()
  expect(comparable(node)).toEqual(comparable(readAnyYaml(text, 'x')))
})

test.each([
  'a: [b, [c]]\n',
  'a: {b: c, b: d}\n',
  'a: [b,]\n',
  'a: b # c\n  d\n',
  'a: b\n\n  c\n',
  'a: b\n  # c\n  d\n',
  'a: b\n  c: d\n',
  "a: 'b'\n  c\n",
  'a: "\\x41"\n',
  'a: &x b\n',
  'a: *x\n',
  'a: |\n  b\n',
  'a: 1\na: 2\n',
  '<<: a\n',
  '? a\n: b\n',
  '--- \na: b\n',
  'a:\tb\n',
  'a: b: c\n',
  'a: "b\n  c"\n',
  '',
  'scalar\n',
  'a: !t b\n',
])('%j is left to the whole parser', (text) => expect(readBlockYaml(text)).toBeUndefined())

const token = fc.constantFrom(
  'a',
  'b c',
  '- ',
  '-',
  ': ',
  ':',
  '#',
  ' #',
  ' ',
  "'",
  "''",
  '"',
  '[]',
  '{}',
  '[',
  '[a, 1]',
  '{a: b}',
  '{',
  ']',
  ', ',
  '\\n',
  '1.0',
  'null',
  '~',
  '<<',
  '&x',
  '*x',
  '!',
  '|',
  '>',
  '%',
  '@',
  '?',
  '? ',
  ',',
  'ü',
  '\u00a0',
  '\u3000',
  '\\',
)
const line = fc
  .tuple(
    fc.constantFrom('', ' ', '  ', '    ', '- ', '  - ', '- - '),
    fc.constantFrom('', '', 'a: ', 'b:', "'c': ", 'd: e', "f: 'g"),
    fc.array(token, { maxLength: 4 }),
  )
  .map(([indent, key, tokens]) => indent + key + tokens.join(''))

test('whatever is read here, the whole parser reads the same', () => {
  let readHere = 0
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 6 }), (lines) => {
      const text = `${lines.join('\n')}\n`
      const node = readBlockYaml(text)
      if (!node) return
      readHere++
      expect(comparable(node)).toEqual(comparable(readAnyYaml(text, 'x')))
    }),
    { numRuns: 20_000 },
  )
  expect(readHere).toBeGreaterThan(500)
})
