import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import type { Digest } from '@cairn/protocol/digest'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ADDED, type Bench, createBench, PLAIN } from './workspace-for-tests.ts'
import type { CheckoutOptions, Wanted } from './workspace.ts'

let bench: Bench
beforeEach(() => {
  bench = createBench()
})
afterEach(() => bench.remove())

const at = (file: string) => path.join(bench.root, file)
const NO_FILES = { added: 0, modified: 0, deleted: 0 }
const NOTHING = { added: [], modified: [], deleted: [], files: NO_FILES, failed: [] }

async function saved(file: string): Promise<Digest> {
  return (await bench.workspace.save(file, ADDED)).digest
}

/** Saves a folder of these files and takes it away again. */
async function stored(folder: string, files: Record<string, string>): Promise<Digest> {
  for (const [file, text] of Object.entries(files)) bench.write(`${folder}/${file}`, text)
  const digest = await saved(folder)
  rmSync(at(folder), { recursive: true })
  bench.workspace.forget(folder)
  return digest
}

const checkOut = (digest: Digest | undefined, options: Partial<CheckoutOptions & Wanted> = {}) => {
  const { path: file = 'data', kind = 'data', isexec, inside, ...rest } = options
  return bench.workspace.checkout([{ path: file, digest, kind, isexec, inside }], { ...PLAIN, ...rest })
}

describe('checkout', () => {
  test('brings back a folder, with nothing of Cairn’s own in it', async () => {
    const digest = await stored('data', { a: 'a', 'sub/b': 'b', 'sub/deep/c': 'c' })
    expect(await checkOut(digest)).toEqual({ ...NOTHING, added: ['data/'], files: { ...NO_FILES, added: 3 } })
    expect(readdirSync(at('data'), { recursive: true }).toSorted()).toEqual(['a', 'sub', 'sub/b', 'sub/deep', 'sub/deep/c'])
    expect(bench.read('data/sub/deep/c')).toBe('c')
    expect(readdirSync(at('.dvc/tmp/cairn/work'))).toEqual([])
    expect(await checkOut(digest)).toEqual(NOTHING)
  })

  test('brings back an empty folder, and folders above an output', async () => {
    mkdirSync(at('deep/er'), { recursive: true })
    const digest = await saved('deep/er')
    rmSync(at('deep'), { recursive: true })
    expect(await checkOut(digest, { path: 'deep/er' })).toEqual({ ...NOTHING, added: ['deep/er/'] })
    expect(statSync(at('deep/er')).isDirectory()).toBe(true)
  })

  test('touches only what differs', async () => {
    const newer = await stored('data', { same: 's', changed: 'new', added: 'n' })
    const older = await stored('data', { same: 's', changed: 'old', 'gone/deep': 'g' })
    await checkOut(older)
    const before = lstatSync(at('data/same'))
    const files = { added: 1, modified: 1, deleted: 2 }
    expect(await checkOut(newer)).toEqual({ ...NOTHING, modified: ['data/'], files })
    expect(lstatSync(at('data/same'))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs })
    expect(readdirSync(at('data')).toSorted()).toEqual(['added', 'changed', 'same'])
    expect(bench.read('data/changed')).toBe('new')
  })

  test('makes a file executable that was', async () => {
    bench.write('run.sh', '#!/bin/sh\n')
    const digest = await saved('run.sh')
    expect(await checkOut(digest, { path: 'run.sh', isexec: true })).toEqual(NOTHING)
    expect(statSync(at('run.sh')).mode & 0o100).not.toBe(0)
    rmSync(at('run.sh'))
    await checkOut(digest, { path: 'run.sh', isexec: true, kind: 'stage' })
    expect(statSync(at('run.sh')).mode & 0o700).toBe(0o700)
    expect(statSync(bench.workspace.cache.pathOf(digest)).mode & 0o111).toBe(0)
  })

  test('puts a file where a folder was, and a folder where a file was', async () => {
    const folder = await stored('data', { 'x/y': 'y' })
    bench.write('data', 'file')
    const file = await saved('data')
    expect((await checkOut(folder)).modified).toEqual(['data/'])
    expect((await checkOut(file)).modified).toEqual(['data'])
    expect(bench.read('data')).toBe('file')
    const swapped = await stored('swap', { x: 'x is a file', 'y/z': 'z' })
    const other = await stored('swap', { 'x/z': 'z', y: 'y is a file' })
    await checkOut(swapped, { path: 'swap' })
    await checkOut(other, { path: 'swap' })
    expect(bench.read('swap/x/z') + bench.read('swap/y')).toBe('zy is a file')
  })

  test('refuses to lose bytes that are saved nowhere, naming them, before it touches anything', async () => {
    const digest = await stored('data', { a: 'a' })
    const other = await stored('other', { b: 'b' })
    await checkOut(digest)
    appendFileSync(at('data/a'), ' edited')
    bench.write('data/mine', 'mine')
    const both = [
      { path: 'other', digest: other, kind: 'data' },
      { path: 'data', digest, kind: 'data' },
    ] as const
    await expect(bench.workspace.checkout(both, PLAIN)).rejects.toMatchObject({
      code: 'UNSAVED',
      exit: 255,
      message: `Can't remove the following unsaved files without confirmation. Use \`--force\` to force.\n${at('data/a')}\n${at('data/mine')}`,
    })
    expect(existsSync(at('other'))).toBe(false)
    expect(bench.read('data/a')).toBe('a edited')
    expect((await bench.workspace.checkout(both, { ...PLAIN, force: true })).modified).toEqual(['data/'])
    expect(readdirSync(at('data'))).toEqual(['a'])
  })

  test('counts bytes as unsaved when their cached copy is damaged', async () => {
    const older = await stored('data', { a: 'old' })
    const newer = await stored('data', { a: 'new' })
    await checkOut(newer)
    const [entry] = bench.workspace.cache.readTree(newer)
    bench.corrupt(bench.workspace.cache.pathOf(entry?.digest ?? newer))
    await expect(checkOut(older)).rejects.toMatchObject({ code: 'UNSAVED' })
    expect(bench.read('data/a')).toBe('new')
  })

  test('leaves an output alone that the cache has not whole, names what is missing, and does the others', async () => {
    const partial = await stored('data', { a: 'a', b: 'b' })
    const whole = await stored('other', { c: 'c' })
    const [, lost] = bench.workspace.cache.readTree(partial)
    rmSync(bench.workspace.cache.pathOf(lost?.digest ?? partial))
    bench.write('data/a', 'a')
    const result = await bench.workspace.checkout(
      [
        { path: 'data', digest: partial, kind: 'data' },
        { path: 'other', digest: whole, kind: 'data' },
      ],
      PLAIN,
    )
    expect(result).toEqual({
      ...NOTHING,
      added: ['other/'],
      files: { ...NO_FILES, added: 1 },
      failed: [{ path: 'data', missing: [lost?.digest] }],
    })
    expect(readdirSync(at('data'))).toEqual(['a'])
  })

  test('never places a damaged object', async () => {
    for (const kind of ['data', 'stage'] as const) {
      const digest = await stored('data', { a: `content for ${kind}` })
      const [entry] = bench.workspace.cache.readTree(digest)
      bench.corrupt(bench.workspace.cache.pathOf(entry?.digest ?? digest))
      bench.reopen()
      expect((await checkOut(digest, { kind })).failed).toEqual([{ path: 'data', missing: [entry?.digest] }])
      expect(existsSync(at('data'))).toBe(false)
    }
  })

  test('places a large object of another tool only when its bytes are right', async () => {
    const digest = await stored('data', { large: 'x'.repeat(3 << 20) })
    const [entry] = bench.workspace.cache.readTree(digest)
    bench.workspace.close()
    rmSync(at('.dvc/tmp/cairn/objects'))
    bench.reopen()
    expect((await checkOut(digest)).failed).toEqual([])
    expect(bench.read('data/large')).toBe('x'.repeat(3 << 20))
    rmSync(at('data'), { recursive: true })
    bench.corrupt(bench.workspace.cache.pathOf(entry?.digest ?? digest))
    expect((await checkOut(digest)).failed).toEqual([{ path: 'data', missing: [entry?.digest] }])
    expect(existsSync(at('data'))).toBe(false)
  })

  test('never writes through a symlink that stands in a folder’s place', async () => {
    const digest = await stored('data', { 'x/passwd': 'from the tree', y: 'y' })
    bench.write('outside/passwd', 'precious')
    mkdirSync(at('data'))
    symlinkSync('../outside', at('data/x'))
    await expect(checkOut(digest)).rejects.toMatchObject({ code: 'UNSAVED', message: expect.stringContaining(at('data/x')) })
    await checkOut(digest, { force: true })
    expect(bench.read('outside/passwd')).toBe('precious')
    expect(lstatSync(at('data/x')).isDirectory()).toBe(true)
    expect(bench.read('data/x/passwd')).toBe('from the tree')
  })

  test('never works through an output that is a symlink to a folder', async () => {
    const digest = await stored('data', { a: 'tree' })
    bench.write('outside/a', 'precious')
    symlinkSync('outside', at('data'))
    await expect(checkOut(digest)).rejects.toMatchObject({ code: 'UNSAVED' })
    await checkOut(digest, { force: true })
    expect(bench.read('outside/a')).toBe('precious')
    expect(lstatSync(at('data')).isDirectory()).toBe(true)
  })

  test('refuses an output below a symlinked folder', async () => {
    const digest = await stored('data', { a: 'a' })
    mkdirSync(at('real'))
    symlinkSync('real', at('alias'))
    await expect(checkOut(digest, { path: 'alias/data' })).rejects.toThrow(/'alias' is a symlink/)
    expect(readdirSync(at('real'))).toEqual([])
  })

  test('puts a file over a symlink without writing to the link’s target', async () => {
    bench.write('file', 'tracked')
    const digest = await saved('file')
    bench.write('elsewhere', 'precious')
    rmSync(at('file'))
    symlinkSync('elsewhere', at('file'))
    await checkOut(digest, { path: 'file' })
    expect(bench.read('elsewhere')).toBe('precious')
    expect(lstatSync(at('file')).isFile()).toBe(true)
  })

  test('replaces a link into the cache that lost its object, but no pipe', async () => {
    const digest = await stored('data', { a: 'a' })
    symlinkSync(path.join(bench.workspace.cache.dir, 'files/md5/00/gone'), at('data'))
    expect((await checkOut(digest)).modified).toEqual(['data/'])
    rmSync(at('data'), { recursive: true })
    execFileSync('mkfifo', [at('data')])
    await expect(checkOut(digest)).rejects.toMatchObject({ code: 'UNSAVED' })
  })

  test('counts files, and a folder for a file or a file for a folder as dvc does', async () => {
    const folder = await stored('data', { a: 'a', 'sub/b': 'b' })
    const file = await saved((bench.write('single', 'single'), 'single'))
    await checkOut(folder)
    expect((await checkOut(file)).files).toEqual({ added: 0, modified: 1, deleted: 3 })
    expect((await checkOut(folder)).files).toEqual({ ...NO_FILES, added: 2 })
    rmSync(at('data/sub'), { recursive: true })
    expect((await checkOut(folder)).files).toEqual({ ...NO_FILES, added: 1 })
  })

  test('leaves alone what .dvcignore hides, and refuses to write over it', async () => {
    const digest = await stored('data', { 'a.log': 'tracked', b: 'b' })
    writeFileSync(at('.dvcignore'), '*.log\n')
    bench.reopen()
    bench.write('data/a.log', 'hidden')
    await expect(checkOut(digest)).rejects.toMatchObject({ code: 'UNSAVED', message: expect.stringContaining('a.log') })
    expect(bench.read('data/a.log')).toBe('hidden')
  })

  test('of a path inside of a folder leaves the rest of it as it is', async () => {
    const digest = await stored('data', { 'x/1': '1', 'x/2': '2', y: 'y' })
    expect((await checkOut(digest, { inside: 'x' })).added).toEqual(['data/'])
    bench.write('data/mine', 'mine')
    rmSync(at('data/x/1'))
    expect((await checkOut(digest, { inside: 'x/1' })).modified).toEqual(['data/'])
    expect(readdirSync(at('data'), { recursive: true }).toSorted()).toEqual(['mine', 'x', 'x/1', 'x/2'])
  })

  test('with nothing wanted deletes what is saved, and the folders that this empties', async () => {
    bench.write('deep/er/data/a', 'a')
    bench.write('deep/mine', 'mine')
    await saved('deep/er/data')
    expect(await checkOut(undefined, { path: 'deep/er/data' })).toEqual({
      ...NOTHING,
      deleted: ['deep/er/data/'],
      files: { ...NO_FILES, deleted: 1 },
    })
    expect(readdirSync(at('deep'))).toEqual(['mine'])
  })

  test('links as configured, and relinks what is of another kind', async () => {
    const digest = await stored('data', { a: 'a', 'sub/b': 'b' })
    await checkOut(digest)
    expect(lstatSync(at('data/a')).nlink).toBe(1)
    expect(await checkOut(digest, { kind: 'stage', relink: true })).toEqual(NOTHING)
    expect(lstatSync(at('data/a'))).toMatchObject({ nlink: 2 })
    expect(await checkOut(digest, { relink: true })).toEqual(NOTHING)
    expect(lstatSync(at('data/a'))).toMatchObject({ nlink: 1 })
    expect(lstatSync(at('data/a')).mode & 0o200).not.toBe(0)
    bench.reopen()
    expect((await bench.workspace.contentOf('data'))?.digest).toBe(digest)
  })

  test('a file edited through its hard link is neither lost nor taken for its object', async () => {
    const digest = await stored('data', { a: 'weights' })
    await checkOut(digest, { kind: 'stage' })
    chmodSync(at('data/a'), 0o644)
    appendFileSync(at('data/a'), ' edited')
    expect((await bench.workspace.contentOf('data'))?.digest).not.toBe(digest)
    await expect(checkOut(digest, { kind: 'stage' })).resolves.toMatchObject({ failed: [{ path: 'data' }] })
    expect(bench.read('data/a')).toBe('weights edited')
  })

  test('that fails halfway leaves no half folder behind', async () => {
    const files = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`f${index}`, `${index}`]))
    const digest = await stored('data', files)
    mkdirSync(at('.dvc/tmp/cairn/work'), { recursive: true })
    const [victim] = bench.workspace.cache.readTree(digest).slice(-1)
    const object = bench.workspace.cache.pathOf(victim?.digest ?? digest)
    // Sound by its stat, but gone by the time that it is copied.
    const { soundStat } = bench.workspace.cache
    expect(soundStat(victim?.digest ?? digest)).toBeDefined()
    const stat = statSync(object)
    bench.workspace.cache.isSoundWithin = () => true
    rmSync(object)
    await expect(checkOut(digest)).rejects.toThrow(/ENOENT/)
    expect(stat.size).toBeGreaterThan(0)
    expect(existsSync(at('data'))).toBe(false)
    expect(readdirSync(at('.dvc/tmp/cairn/work'))).toEqual([])
  })
})

describe('checkout of all outputs', () => {
  const all = (wanted: readonly Wanted[], keep: string[] = []) =>
    bench.workspace.checkout(wanted, { ...PLAIN, removeStale: true, keep })

  test('removes what is no longer an output and did not change', async () => {
    bench.write('data/a', 'a')
    bench.write('model', 'm')
    const digest = await saved('data')
    await saved('model')
    bench.reopen()
    expect(await all([{ path: 'data', digest, kind: 'data' }])).toEqual({
      ...NOTHING,
      deleted: ['model'],
      files: { ...NO_FILES, deleted: 1 },
    })
    expect(await all([])).toEqual({ ...NOTHING, deleted: ['data/'], files: { ...NO_FILES, deleted: 1 } })
    expect(existsSync(at('data'))).toBe(false)
  })

  test('leaves what was changed, forgotten, or is an output that is not checked out', async () => {
    for (const file of ['changed', 'forgotten', 'kept']) {
      bench.write(file, file)
      await saved(file)
    }
    appendFileSync(at('changed'), '!')
    bench.workspace.forget('forgotten')
    expect(await all([], ['kept'])).toEqual(NOTHING)
    expect(await all([], ['kept'])).toEqual(NOTHING)
    expect(readFileSync(at('changed'), 'utf8')).toBe('changed!')
    expect(existsSync(at('forgotten')) && existsSync(at('kept'))).toBe(true)
  })

  test('leaves what it can no longer bring back', async () => {
    bench.write('model', 'm')
    const digest = await saved('model')
    rmSync(bench.workspace.cache.pathOf(digest))
    expect(await all([])).toEqual(NOTHING)
    expect(existsSync(at('model'))).toBe(true)
  })

  test('keeps single outputs inside of a folder that was one output before', async () => {
    bench.write('data/a', 'a')
    bench.write('data/b', 'b')
    await saved('data')
    const { digest } = await bench.workspace.save('data/a', ADDED)
    expect((await all([{ path: 'data/a', digest, kind: 'data' }])).deleted).toEqual(['data/'])
    expect(readdirSync(at('data'))).toEqual(['a'])
  })
})

describe('removing an output', () => {
  test('refuses what is saved nowhere, unless forced', async () => {
    bench.write('data/a', 'a')
    await expect(bench.workspace.remove('data', { force: false })).rejects.toMatchObject({ code: 'UNSAVED' })
    expect(await bench.workspace.remove('data', { force: true })).toBe(true)
    expect(await bench.workspace.remove('data', { force: true })).toBe(false)
    bench.write('data/a', 'a')
    await saved('data')
    expect(await bench.workspace.remove('data', { force: false })).toBe(true)
    expect(existsSync(at('data'))).toBe(false)
  })
})
