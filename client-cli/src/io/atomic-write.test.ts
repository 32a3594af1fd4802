import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeFileAtomic } from './atomic-write.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-write-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

test('writes a new file and replaces an old one, keeping its mode', () => {
  const file = path.join(dir, 'f')
  writeFileAtomic(file, 'one')
  chmodSync(file, 0o640)
  writeFileAtomic(file, new TextEncoder().encode('two'), { fsync: true })
  expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777, readdirSync(dir)]).toEqual(['two', 0o640, ['f']])
})

test('a wanted mode is the mode from the first byte', () => {
  writeFileAtomic(path.join(dir, 'secret'), 'x', { mode: 0o600 })
  expect(statSync(path.join(dir, 'secret')).mode & 0o777).toBe(0o600)
})

test('a reader that has the old file open keeps the old bytes', () => {
  const file = path.join(dir, 'f')
  writeFileSync(file, 'old')
  const before = statSync(file).ino
  writeFileAtomic(file, 'new')
  expect(statSync(file).ino).not.toBe(before)
})

test('a symlink stays and its target is replaced', () => {
  writeFileSync(path.join(dir, 'target'), 'old')
  symlinkSync('target', path.join(dir, 'link'))
  writeFileAtomic(path.join(dir, 'link'), 'new')
  expect(lstatSync(path.join(dir, 'link')).isSymbolicLink()).toBe(true)
  expect(readFileSync(path.join(dir, 'target'), 'utf8')).toBe('new')
})

test('a failure leaves the old file and no draft', () => {
  writeFileSync(path.join(dir, 'f'), 'old')
  expect(() => writeFileAtomic(path.join(dir, 'f/below'), 'x')).toThrow(/ENOTDIR/)
  expect(() => writeFileAtomic(dir, 'x')).toThrow(/EISDIR|ENOTEMPTY|EEXIST|is a directory/)
  expect([readFileSync(path.join(dir, 'f'), 'utf8'), readdirSync(dir)]).toEqual(['old', ['f']])
})
