import type { Digest } from '@cairn/protocol/digest'
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { makeDigest } from '@cairn/protocol/digest'
import { md5OfBytes } from '../cache/md5.ts'
import { type Bench, createBench } from './workspace-for-tests.ts'
import type { Wanted } from './workspace.ts'

let bench: Bench
afterEach(() => bench.remove())

const FILES = { a: 'one', 'sub/b': 'two', 'sub/deep/c': 'one' }
const digestOf = (text: string): Digest => makeDigest(md5OfBytes(Buffer.from(text)))
const tree = (): Digest =>
  bench.workspace.cache.storeTree(Object.entries(FILES).map(([file, text]) => ({ path: file, digest: digestOf(text) })))
const wantedAt = (digest: Digest): Wanted => ({ path: 'data', digest, kind: 'data' })
const drafts = () => globSync('.dvc/tmp/cairn/work/*', { cwd: bench.root })
const OPTIONS = { force: false, relink: false, removeStale: false }

/** Into the cache and, as a pull does, into the draft. */
function arrive(early: { place(digest: Digest, bytes: Uint8Array): void }, ...texts: string[]): void {
  for (const text of texts) {
    bench.workspace.cache.store(digestOf(text), Buffer.from(text))
    early.place(digestOf(text), Buffer.from(text))
  }
}

const expectFiles = (options?: { linkTypes?: string }) => {
  bench = createBench(options)
  const digest = tree()
  return { digest, early: bench.workspace.expect([wantedAt(digest)]) }
}

test('files written on arrival become the folder, and those that were not come from the cache', async () => {
  const { digest, early } = expectFiles()
  arrive(early, 'one')
  expect(existsSync(path.join(bench.root, 'data'))).toBe(false)
  bench.workspace.cache.store(digestOf('two'), Buffer.from('two'))
  rmSync(bench.workspace.cache.pathOf(digestOf('one')))
  bench.workspace.cache.store(digestOf('one'), Buffer.from('one'))
  const result = await bench.workspace.checkout([wantedAt(digest)], { ...OPTIONS, early })
  early.close()
  expect(result.added).toEqual(['data/'])
  for (const [file, text] of Object.entries(FILES)) expect(bench.read(`data/${file}`)).toBe(text)
  expect(statSync(path.join(bench.root, 'data/a')).mode & 0o200).toBe(0o200)
  expect(drafts()).toEqual([])
  bench.reopen()
  expect((await bench.workspace.contentOf('data'))?.digest).toBe(digest)
})

test('what never comes leaves the place empty, and nothing behind', async () => {
  const { digest, early } = expectFiles()
  arrive(early, 'one')
  const result = await bench.workspace.checkout([wantedAt(digest)], { ...OPTIONS, early })
  early.close()
  expect(result.failed).toEqual([{ path: 'data', missing: [digestOf('two')] }])
  expect(existsSync(path.join(bench.root, 'data'))).toBe(false)
  expect(drafts()).toEqual([])
})

test('a folder that somebody made meanwhile is looked at as any other', async () => {
  const { digest, early } = expectFiles()
  arrive(early, 'one', 'two')
  mkdirSync(path.join(bench.root, 'data'))
  writeFileSync(path.join(bench.root, 'data/a'), 'saved nowhere')
  await expect(bench.workspace.checkout([wantedAt(digest)], { ...OPTIONS, early })).rejects.toMatchObject({ code: 'UNSAVED' })
  early.close()
  expect(bench.read('data/a')).toBe('saved nowhere')
  expect(drafts()).toEqual([])
})

test('another content than the expected one is checked out from the cache', async () => {
  const { early } = expectFiles()
  arrive(early, 'one', 'two')
  const other = bench.workspace.cache.storeTree([{ path: 'a', digest: digestOf('two') }])
  await bench.workspace.checkout([wantedAt(other)], { ...OPTIONS, early })
  early.close()
  expect(globSync('data/**', { cwd: bench.root }).toSorted()).toEqual(['data', 'data/a'])
  expect(readFileSync(path.join(bench.root, 'data/a'), 'utf8')).toBe('two')
})

test('links are left to the checkout', async () => {
  const { digest, early } = expectFiles({ linkTypes: 'hardlink' })
  arrive(early, 'one', 'two')
  expect(drafts()).toEqual([])
  await bench.workspace.checkout([wantedAt(digest)], { ...OPTIONS, early })
  early.close()
  expect(statSync(path.join(bench.root, 'data/a')).nlink).toBe(3)
})
