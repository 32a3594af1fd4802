import { type Digest, md5Of } from '@cairn/protocol/digest'
import { cpSync, mkdtempSync, renameSync, rmSync, truncateSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Timestamps } from './file-stat.ts'
import { md5OfBytes } from './md5.ts'
import { type ObjectCache, openObjectCache } from './object-cache.ts'

let dir: string
let cache: ObjectCache
let files: Digest[]
let tree: Digest
/** How often the members were asked for. */
let asked: number

const open = (timestamps?: Timestamps) =>
  (cache = openObjectCache(path.join(dir, 'cache'), {
    tmpDir: path.join(dir, 'tmp'),
    ...(timestamps && { timestamps: () => timestamps }),
  }))
const isComplete = () =>
  cache.isComplete(tree, () => {
    asked++
    return { count: files.length, md5: (row) => md5Of(files[row] ?? tree) }
  })
/** Past the moment for which one command believes what it saw. */
const nextCommand = async (timestamps?: Timestamps) => {
  cache.close()
  await sleep(60)
  open(timestamps)
}

beforeEach(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-complete-'))
  open()
  files = ['one', 'two', 'three'].map((text) => {
    const digest = md5OfBytes(Buffer.from(text)) as Digest
    cache.put(digest, Buffer.from(text))
    return digest
  })
  tree = cache.storeTree(files.map((digest, index) => ({ path: `${index}`, digest })))
  asked = 0
  await sleep(60)
  expect(isComplete()).toBe(true)
  await nextCommand()
})
afterEach(() => rmSync(dir, { recursive: true }))

describe('a tree whose members were all in the cache', () => {
  test('is not asked for them again while the cache stays as it was', async () => {
    expect([isComplete(), asked]).toEqual([true, 1])
    await nextCommand()
    expect([isComplete(), asked]).toEqual([true, 1])
  })

  test('is asked again, and found incomplete, when an object went, also within one command', () => {
    expect(isComplete()).toBe(true)
    cache.setAside(files[1] ?? tree)
    expect([isComplete(), asked]).toEqual([false, 2])
  })

  test('is asked again when another program removed an object, or a whole folder of them', async () => {
    rmSync(cache.pathOf(files[0] ?? tree))
    expect([isComplete(), asked]).toEqual([false, 2])
    cache.put(files[0] ?? tree, Buffer.from('one'))
    await nextCommand()
    expect(isComplete()).toBe(true)
    await nextCommand()
    rmSync(path.dirname(cache.pathOf(files[2] ?? tree)), { recursive: true })
    expect(isComplete()).toBe(false)
  })

  test('is asked again when the cache is another one of the same names and times', async () => {
    const [real, copy] = [path.join(dir, 'cache'), path.join(dir, 'copy')]
    cpSync(real, copy, { recursive: true, preserveTimestamps: true })
    renameSync(real, path.join(dir, 'old'))
    renameSync(copy, real)
    await nextCommand()
    expect([isComplete(), asked]).toEqual([true, 2])
  })

  test('is asked every time where a folder can change without a new timestamp', async () => {
    const never: Timestamps = { fine: false, settled: () => false }
    cache.put(md5OfBytes(Buffer.from('more')) as Digest, Buffer.from('more'))
    await nextCommand(never)
    expect([isComplete(), asked]).toEqual([true, 2])
    await nextCommand(never)
    expect([isComplete(), asked]).toEqual([true, 3])
  })

  test('is asked again when what was remembered is torn', () => {
    truncateSync(path.join(dir, 'tmp/cairn/complete'), 100)
    expect([isComplete(), asked]).toEqual([true, 2])
  })
})
