import { describe, expect, test } from 'vitest'
import { editYaml } from './yaml-edit.ts'
import { readYaml, valueOf } from './yaml-read.ts'
import type { YamlValue } from './yaml-text.ts'

const BY_HAND = `# how it all
# begins

vars: [ {a: 1} ]   # ours
stages:
  merge:  # a folder
    cmd:
      - mkdir work/merged   # first
      - "cat work/clean/north.csv work/clean/south.csv work/clean/east.csv work/clean/west.csv > work/merged/first.csv"
    deps:     # sorted by hand
    # the west is last
    - west.csv
    - 'east.csv'
    outs: [ work/merged ]

  # what the next one is for
  report:
    cmd: |
      echo one

      echo two
    frozen: true   # until it is fixed

# the end
metrics:
- m.json
`
const edit = (text: string, change: (value: string) => string): string => {
  // What is wanted, written as the text that it would be: only its content counts.
  const node = readYaml(change(text), 'wanted')
  return editYaml(text, node ? valueOf(node) : null, 'dvc.yaml')
}
const replaced = (from: string, to: string) => (text: string) => {
  expect(text).toContain(from)
  return text.replace(from, to)
}

describe('of a file that people wrote only the lines change that say something else', () => {
  test.each<[what: string, from: string, to: string]>([
    [
      'a new key, after the last one and before the comment on what follows',
      '    outs: [ work/merged ]\n',
      '    outs: [ work/merged ]\n    frozen: true\n',
    ],
    ['a key that goes', '    frozen: true   # until it is fixed\n', ''],
    ['a value, and not the comment behind it', 'frozen: true   #', 'frozen: false   #'],
    ['an entry of a list', '    - west.csv\n', ''],
    ['a new entry of a list', "    - 'east.csv'\n", "    - 'east.csv'\n    - north.csv\n"],
    [
      'the lines of a command',
      '      - mkdir work/merged   # first\n',
      '      - rm -rf work/merged\n      - mkdir work/merged   # first\n',
    ],
    ['a command that is a block', '    cmd: |\n      echo one\n\n      echo two\n', '    cmd: echo three\n'],
    ['a key after a block of text', '- m.json\n', '- m.json\n- n.json\n'],
    ['a list in one line', 'vars: [ {a: 1} ]   # ours', 'vars: [{a: 2}]   # ours'],
    ['a whole stage', '  report:\n    cmd: |\n      echo one\n\n      echo two\n    frozen: true   # until it is fixed\n', ''],
  ])('%s', (_, from, to) => {
    const change = replaced(from, to)
    expect(edit(BY_HAND, change)).toBe(change(BY_HAND))
  })

  test('the first key, which then is another', () => {
    const change = replaced('vars: [ {a: 1} ]   # ours\n', '')
    expect(edit(BY_HAND, change)).toBe(change(BY_HAND))
  })

  test('without a line feed at its end', () => {
    expect(edit('a: 1 # one', () => 'a: 1\nb: 2')).toBe('a: 1 # one\nb: 2\n')
  })
})

test('what was inherited from an anchor stays inherited', () => {
  const text = 'base: &base\n  cmd: x  # shared\nstages:\n  a:\n    <<: *base\n    deps: [d]\n'
  expect(edit(text, replaced('deps: [d]', 'deps: [d]\n    frozen: true'))).toBe(`${text}    frozen: true\n`)
})

test('a change that lines cannot make is made all the same', () => {
  const wanted = (text: string): YamlValue => {
    const node = readYaml(text, 'wanted')
    return node ? valueOf(node) : null
  }
  for (const [text, after] of [
    ['a:\n- - 1 # one\n  - 2\n', 'a:\n- - 1\n  - 3\n'],
    ['? a\n: 1 # one\n', 'a: 1\nb: 2\n'],
    ['a: &x [1] # one\nb: *x\n', 'a: [2]\nb: [1]\n'],
    ['{a: 1, b: 2} # all\n', 'a: 1\nc: 2\n'],
    ['a:\n# nothing yet\n', 'a:\n  b: 1\n'],
  ] as const) {
    expect(wanted(edit(text, () => after))).toEqual(wanted(after))
  }
})
