import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expandGlob, namePattern } from './glob.ts'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-glob-'))
  for (const file of ['a.csv', 'b.csv', '.hidden.csv', 'sub/c.csv', 'sub/deep/d.csv', 'sub/deep/e.txt', 'odd[1].csv']) {
    mkdirSync(path.dirname(path.join(dir, file)), { recursive: true })
    writeFileSync(path.join(dir, file), '')
  }
  symlinkSync('.', path.join(dir, 'loop'))
})
afterAll(() => rmSync(dir, { recursive: true }))

test.each([
  ['*.csv', ['a.csv', 'b.csv', 'odd[1].csv']],
  ['[!a].csv', ['b.csv']],
  ['sub/*/?.txt', ['sub/deep/e.txt']],
  ['**/*.csv', ['a.csv', 'b.csv', 'odd[1].csv', 'sub/c.csv', 'sub/deep/d.csv']],
  ['sub/**', ['sub', 'sub/c.csv', 'sub/deep', 'sub/deep/d.csv', 'sub/deep/e.txt']],
  ['.*.csv', ['.hidden.csv']],
  ['odd[[]1].csv', ['odd[1].csv']],
  ['sub/deep/../c.*', ['sub/c.csv']],
  ['nothing*', []],
  ['sub/c.csv', ['sub/c.csv']],
])('%s stands for %j', (pattern, found) => {
  expect(expandGlob(dir, pattern)).toEqual(found)
})

test('an absolute pattern gives absolute paths', () => {
  expect(expandGlob('/', `${dir}/a.*`)).toEqual([`${dir}/a.csv`])
})

test.each(['[', '[]', 'a[b', '(', 'a+b', '\\', '{x}'])('%s is a name like any other', (name) => {
  expect(namePattern(name)(name)).toBe(true)
})
