import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { memoryFile } from './memory-file.ts'

let base: string
beforeEach(() => {
  base = mkdtempSync(path.join(os.tmpdir(), 'cairn-memory-'))
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

test('keeps one value for each url, over runs', () => {
  const file = path.join(base, 'deep/er/known.json')
  memoryFile(file).remember('http://a', { at: 1 })
  memoryFile(file).remember('http://b', 2)
  memoryFile(file).remember('http://b', 3)
  expect([memoryFile(file).read('http://a'), memoryFile(file).read('http://b')]).toEqual([{ at: 1 }, 3])
})

test.each(['', '{', 'null', '[]', '"text"'])('a file that holds %j is no memory, and is repaired', (text) => {
  const file = path.join(base, 'known.json')
  writeFileSync(file, text)
  expect(memoryFile(file).read('http://a')).toBeUndefined()
  memoryFile(file).remember('http://a', 1)
  expect(memoryFile(file).read('http://a')).toBe(1)
})

test.runIf(process.platform === 'linux')('nothing is remembered where nothing can be written, and nothing fails', () => {
  memoryFile('/sys/cairn/known.json').remember('http://a', 1)
  expect(memoryFile('/sys/cairn/known.json').read('http://a')).toBeUndefined()
})
