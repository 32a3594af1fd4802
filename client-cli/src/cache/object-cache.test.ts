import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createHash } from 'node:crypto'
import os from 'node:os'
import path from 'node:path'
import { makeDigest, parseDigest } from '@cairn/protocol/digest'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createBench, type Bench } from '../workspace/workspace-for-tests.ts'
import { type ObjectCache, openObjectCache } from './object-cache.ts'

let root: string
let cache: ObjectCache
const open = () => openObjectCache(path.join(root, 'cache'), { tmpDir: path.join(root, 'tmp') })
const digestOf = (text: string) => makeDigest(createHash('md5').update(text).digest('hex'))
const put = (text: string) => {
  cache.store(digestOf(text), Buffer.from(text))
  return digestOf(text)
}
const drafts = () => readdirSync(path.join(root, 'tmp/cairn/incoming'))
async function* pieces(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text)
}
const signal = new AbortController().signal
const utimes = (file: string, date: Date) => utimesSync(file, date, date)

beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'cairn-cache-'))
  cache = open()
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

describe('the object cache', () => {
  test('stores objects read-only in dvc’s layout', () => {
    const digest = put('foo\n')
    const file = path.join(root, 'cache/files/md5/d3/b07384d113edec49eaa6238ad5ff00')
    expect(cache.pathOf(digest)).toBe(file)
    expect(readFileSync(file, 'utf8')).toBe('foo\n')
    expect(statSync(file).mode & 0o777).toBe(0o444)
  })

  test('keeps legacy objects in their own place, checked by the hash of their time', () => {
    const digest = parseDigest('legacy-dd8c6a395b5dd36c56d23275028f526c')
    cache.store(digest, Buffer.from('a\r\nb\r\n'))
    expect(cache.pathOf(digest)).toBe(path.join(root, 'cache/dd/8c6a395b5dd36c56d23275028f526c'))
    expect(cache.isSound(digest)).toBe(true)
  })

  test('refuses bytes that do not hash to their name, and shows nothing of them', async () => {
    const digest = digestOf('right')
    expect(() => cache.store(digest, Buffer.from('wrong'))).toThrow(expect.objectContaining({ code: 'DIGEST_MISMATCH' }))
    await expect(cache.storeStream(digest, pieces('wr', 'ong'), signal)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(cache.has(digest)).toBe(false)
    expect(drafts()).toEqual([])
  })

  test('stores a stream and says how long it was', async () => {
    expect(await cache.storeStream(digestOf('left right'), pieces('left ', 'right'), signal)).toBe(10)
    expect(cache.isSound(digestOf('left right'))).toBe(true)
  })

  test('leaves nothing of a stream that fails or is interrupted', async () => {
    async function* failing() {
      yield Buffer.from('le')
      throw new Error('the line broke')
    }
    await expect(cache.storeStream(digestOf('left'), failing(), signal)).rejects.toThrow('the line broke')
    await expect(cache.storeStream(digestOf('left'), pieces('le', 'ft'), AbortSignal.abort(new Error('stop')))).rejects.toThrow(
      'stop',
    )
    expect(drafts()).toEqual([])
  })

  test('tells what is missing, one name or a whole shard', () => {
    const inShard = (index: number) => makeDigest(`ab${String(index).padStart(30, '0')}`)
    const present = Array.from({ length: 20 }, (_, index) => inShard(index))
    const absent = Array.from({ length: 20 }, (_, index) => inShard(100 + index))
    mkdirSync(path.dirname(cache.pathOf(inShard(0))), { recursive: true })
    for (const digest of present) writeFileSync(cache.pathOf(digest), '')
    expect(cache.missing([...present, ...absent])).toEqual(absent)
    expect(cache.missing([inShard(3), inShard(103)])).toEqual([inShard(103)])
    expect(cache.missing(present)).toEqual([])
    expect(cache.missing([digestOf('elsewhere')])).toEqual([digestOf('elsewhere')])
  })

  test('round-trips a tree, and moves a damaged one aside', () => {
    const entries = [
      { path: 'b/c', digest: digestOf('c') },
      { path: 'a', digest: digestOf('a') },
    ]
    const digest = cache.storeTree(entries)
    expect(cache.readTree(digest)).toEqual(entries.toSorted((x, y) => (x.path < y.path ? -1 : 1)))
    rmSync(cache.pathOf(digest))
    writeFileSync(cache.pathOf(digest), '[]', { mode: 0o444 })
    expect(() => cache.readTree(digest)).toThrow(expect.objectContaining({ code: 'CACHE_DAMAGED' }))
    expect(() => cache.readTree(digest)).toThrow(expect.objectContaining({ code: 'CACHE_MISSING' }))
    expect(existsSync(`${cache.pathOf(digest)}.damaged`)).toBe(true)
  })

  test('gives the empty tree its well-known name', () => {
    expect(cache.storeTree([])).toBe('d751713988987e9331980363e24189ce.dir')
  })

  test('stores a file only under the digest of the bytes it copied', () => {
    const file = path.join(root, 'file')
    writeFileSync(file, 'new content')
    for (const how of ['copy', 'hardlink', 'reflink'] as const) {
      expect(() => cache.storeFile(digestOf('old content'), file, how)).toThrow(/changed while it was being added/)
    }
    const stat = statSync(file)
    writeFileSync(file, 'newer bytes')
    expect(() => cache.storeFile(digestOf('new content'), file, 'copy', stat)).toThrow(/changed while/)
    expect(cache.has(digestOf('old content')) || cache.has(digestOf('new content'))).toBe(false)
    expect(drafts()).toEqual([])
  })

  test('clears away drafts of runs that were killed long ago, and no younger ones', () => {
    const folder = path.join(root, 'tmp/cairn/incoming')
    put('first')
    writeFileSync(path.join(folder, '1-dead-0'), 'half')
    writeFileSync(path.join(folder, '2-alive-0'), 'half')
    const past = new Date(Date.now() - 2 * 60 * 60 * 1000)
    utimes(path.join(folder, '1-dead-0'), past)
    cache = open()
    put('second')
    expect(drafts()).toEqual(['2-alive-0'])
  })
})

describe('a cached object', () => {
  let bench: Bench
  beforeEach(() => {
    bench = createBench()
  })
  afterEach(() => bench.remove())

  test('that was changed in place is found out although size, mtime and mode are as they were', () => {
    const { cache: objects } = bench.workspace
    objects.store(digestOf('content'), Buffer.from('content'))
    expect(objects.isSound(digestOf('content'))).toBe(true)
    bench.corrupt(objects.pathOf(digestOf('content')))
    expect(objects.isSound(digestOf('content'))).toBe(false)
    expect(existsSync(`${objects.pathOf(digestOf('content'))}.damaged`)).toBe(true)
    expect(objects.has(digestOf('content'))).toBe(false)
  })

  test('that someone else stored is hashed once and known from then on, also by the next process', () => {
    const digest = digestOf('theirs')
    const file = bench.workspace.cache.pathOf(digest)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, 'theirs', { mode: 0o644 })
    utimes(file, new Date(Date.now() - 10_000))
    expect(bench.workspace.cache.isSound(digest)).toBe(true)
    expect(statSync(file).mode & 0o777).toBe(0o444)
    bench.reopen()
    const records = statSync(path.join(bench.root, '.dvc/tmp/cairn/objects')).size
    expect(bench.workspace.cache.isSound(digest)).toBe(true)
    bench.reopen()
    expect(statSync(path.join(bench.root, '.dvc/tmp/cairn/objects')).size).toBe(records)
  })

  test('is hashed again when the records are torn or foreign', () => {
    const digest = digestOf('content')
    bench.workspace.cache.store(digest, Buffer.from('content'))
    bench.reopen()
    const records = path.join(bench.root, '.dvc/tmp/cairn/objects')
    writeFileSync(records, readFileSync(records).subarray(0, 30))
    bench.corrupt(bench.workspace.cache.pathOf(digest))
    expect(bench.workspace.cache.isSound(digest)).toBe(false)
    bench.workspace.cache.store(digest, Buffer.from('content'))
    bench.reopen()
    expect(statSync(records).size % 56).toBe(0)
    expect(bench.workspace.cache.isSound(digest)).toBe(true)
  })
})
