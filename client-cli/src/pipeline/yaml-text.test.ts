import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Float, float, numberText } from './python-value.ts'
import { readYaml, valueOf } from './yaml-read.ts'
import { writeYaml, type YamlValue } from './yaml-text.ts'

test('numbers are written as Python writes them, ints and floats apart', () => {
  const cases: Array<[number | bigint | Float, string]> = [
    [1, '1'],
    [float(1), '1.0'],
    [0.001, '0.001'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [1e-7, '1e-07'],
    [float(100000), '100000.0'],
    [float(1e15), '1000000000000000.0'],
    [float(1e16), '1e+16'],
    [1.5e300, '1.5e+300'],
    [float(-0), '-0.0'],
    [0.7999999999999999, '0.7999999999999999'],
    [12345678901234567890n, '12345678901234567890'],
  ]
  for (const [value, text] of cases) expect(numberText(value)).toBe(text)
  expect(writeYaml([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN])).toBe('- .inf\n- -.inf\n- .nan\n')
})

test('a text is quoted when it would be read as something else, and only then', () => {
  const quoted = [
    '',
    'true',
    'TRUE',
    'null',
    '~',
    '1',
    '012',
    '0o17',
    '0x1f',
    '1.0',
    '1e3',
    '1_000',
    '.5',
    '1.',
    '+1',
    '-.inf',
    '.nan',
    '2020-01-01',
    '=',
    '<<',
    '---',
    '#a',
    ', b',
    '[',
    '{x',
    '&a',
    '*a',
    '!t',
    '|',
    '>',
    '%',
    '@',
    '`',
    ' a',
    'a ',
    '- x',
    '? x',
    'a: b',
    'a:',
    'a #b',
    '123e45',
  ]
  for (const text of quoted) expect(writeYaml([text])).toBe(`- '${text}'\n`)
  const plain = [
    'yes',
    'no',
    'on',
    'off',
    'y',
    'n',
    '12:30',
    '1:2:3',
    '-x',
    'a#b',
    'x]',
    'a:b',
    "it's",
    'ünï',
    '😀',
    'a, b',
    'nul',
    '1.2.3',
    '0d',
  ]
  for (const text of plain) expect(writeYaml([text])).toBe(`- ${text}\n`)
  expect(writeYaml(["it's: x", 'tab\there', 'two\nlines'])).toBe('- "it\'s: x"\n- "tab\\there"\n- "two\\nlines"\n')
})

test('nesting, empty collections and null look as in dvc.lock', () => {
  const value = { a: [], b: {}, c: null, d: [[1, 2], [{ x: 1, y: [null] }]], 'a key': { z: true } }
  expect(writeYaml(value)).toBe('a: []\nb: {}\nc:\nd:\n- - 1\n  - 2\n- - x: 1\n    y:\n    - \na key:\n  z: true\n')
})

test('a long command is folded where dvc folds it', () => {
  const cmd = `mkdir -p out && cp in.txt out/data && for f in nc.txt keep.txt keepnc.txt; do echo $f > $f; done; echo '{"acc": 0.5}' > m.json`
  expect(writeYaml({ stages: { prep: { desc: 'some desc: with colon', cmd } } })).toBe(
    `stages:\n  prep:\n    desc: 'some desc: with colon'\n    cmd: "mkdir -p out && cp in.txt out/data && for f in nc.txt keep.txt keepnc.txt;\n      do echo $f > $f; done; echo '{\\"acc\\": 0.5}' > m.json"\n`,
  )
  const plain = `python train.py ${'--option value '.repeat(6)}--epochs 100`
  expect(writeYaml({ cmd: plain })).toBe(
    'cmd: python train.py --option value --option value --option value --option value\n  --option value --option value --epochs 100\n',
  )
  expect(writeYaml({ cmd: `python train.py ${'--option valu '.repeat(5)}--epochs 100` })).toBe(
    'cmd: python train.py --option valu --option valu --option valu --option valu \n  --option valu --epochs 100\n',
  )
})

const scalar = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.string({ unit: fc.constantFrom(...`ab: -#'"\\,[]{}&*!|>%@?~=_/$\n\t1.e0`), maxLength: 120 }),
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc.double({ noNaN: true }).map(float),
)
const key = fc
  .string({ unit: fc.constantFrom(...`ab: -#'"\\,[]{}&*!|>%@?~=_/$1.e0\t`), maxLength: 40 })
  .filter((text) => text !== '<<')
const { tree } = fc.letrec<{ tree: YamlValue }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie('tree')), { maxLength: 4 }).map((entries) => new Map<string, YamlValue>(entries)),
  ),
}))

test('whatever is written reads back the same', () => {
  fc.assert(
    fc.property(fc.tuple(key, tree), ([name, value]) => {
      const node = readYaml(writeYaml(new Map([[name, value]])), 'x.dvc')
      expect(node && valueOf(node)).toEqual(new Map([[name, value]]))
    }),
    { numRuns: 300 },
  )
})
