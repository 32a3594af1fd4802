import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeFolders } from './make-folders.ts'

let base: string
beforeEach(() => {
  base = mkdtempSync(path.join(os.tmpdir(), 'cairn-folders-'))
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

test('makes what is not there, and says where that began', () => {
  expect(makeFolders(path.join(base, 'a/b/c'), 0o700)).toBe(path.join(base, 'a'))
  expect(statSync(path.join(base, 'a/b/c')).mode & 0o777).toBe(0o700)
  expect(makeFolders(path.join(base, 'a/b/c'))).toBeUndefined()
  expect(makeFolders(path.join(base, 'a/b/d'))).toBe(path.join(base, 'a/b/d'))
})

test('fails where a file stands in the way', () => {
  writeFileSync(path.join(base, 'file'), '')
  expect(() => makeFolders(path.join(base, 'file'))).toThrow(/EEXIST/)
  expect(() => makeFolders(path.join(base, 'file/a/b'))).toThrow(/ENOTDIR/)
})

test.runIf(process.platform === 'linux')('ends where the file system takes no folders', () => {
  expect(() => makeFolders('/proc/nowhere/at/all')).toThrow(
    "cannot make the folder '/proc/nowhere': the file system of '/proc' takes none",
  )
})
