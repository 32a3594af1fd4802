import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { diskBlobStore } from '../../server/src/adapters/blob-store/disk.ts'
import { memoryBlobStore } from '../../server/src/adapters/blob-store/memory.ts'
import { withLimit } from '../../server/src/adapters/blob-store/with-limit.ts'
import { withMetrics, type BlobCall } from '../../server/src/adapters/blob-store/with-metrics.ts'
import { withRetry } from '../../server/src/adapters/blob-store/with-retry.ts'
import type { BlobStore } from '../../server/src/domain/ports/blob-store.ts'
import { blobStoreConformance, inChunks, listed, read } from '../conformance/blob-store.ts'

const folders: string[] = []
const signal = new AbortController().signal

function tempFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cairn-blobs-'))
  folders.push(folder)
  return folder
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

blobStoreConformance('memory', () => ({ store: memoryBlobStore() }), { keepsUnfinished: false })

blobStoreConformance('disk', () => ({ store: diskBlobStore(tempFolder()) }), { keepsUnfinished: true })

blobStoreConformance(
  'disk behind its wrappers',
  () => ({ store: withMetrics(withRetry(withLimit(diskBlobStore(tempFolder()), { reads: 4, writes: 4 })), () => undefined) }),
  { keepsUnfinished: true },
)

describe('disk blob store', () => {
  test('keeps a blob under its key, and nothing else', async () => {
    const folder = tempFolder()
    const store = diskBlobStore(folder)
    await store.put('1/objects/ab/x', inChunks(Buffer.from('hello')), { signal })
    expect(filesBelow(folder)).toEqual(['blobs/1/objects/ab/x'])
    expect(statSync(path.join(folder, 'blobs/1/objects/ab/x')).mode & 0o777).toBe(0o600)
  })

  test('clears away what a failed upload wrote', async () => {
    const folder = tempFolder()
    const store = diskBlobStore(folder)
    const source = (async function* () {
      yield Buffer.alloc(5_000_000)
      throw new Error('gone')
    })()
    await expect(store.put('1/packs/a', source, { signal })).rejects.toThrow('gone')
    expect(filesBelow(folder)).toEqual([])
  })

  test('removes what a killed server left behind, once it is old', async () => {
    const folder = tempFolder()
    const store = diskBlobStore(folder)
    await store.put('1/packs/a', inChunks(Buffer.from('hello')), { signal })
    const [old, young] = ['old', 'young'].map((name) => path.join(folder, 'unfinished', name)) as [string, string]
    for (const file of [old, young]) writeFileSync(file, 'half of a blob')
    utimesSync(old, 1_000_000_000, 1_000_000_000)
    expect(await store.removeUnfinished(new Date(Date.now() - 60_000), signal)).toBe(1)
    expect(existsSync(old)).toBe(false)
    expect(existsSync(young)).toBe(true)
    expect((await listed(store, '')).map(({ key }) => key)).toEqual(['1/packs/a'])
  })

  test('fails its check with the reason when its folder is lost', async () => {
    const file = path.join(tempFolder(), 'file')
    writeFileSync(file, '')
    await expect(diskBlobStore(file).check(signal)).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })

  test('answers STORAGE_FULL on a full disk, leaves nothing of the upload, and works again when there is space', async (context) => {
    const folder = tempFolder()
    const unmount = mountTinyDisk(folder)
    if (!unmount) {
      context.skip('a file system of 4 MiB cannot be mounted here (needs root)')
      return
    }
    try {
      const store = diskBlobStore(folder)
      await store.put('1/packs/first', inChunks(randomBytes(1_000_000)), { signal })
      const tooMuch = store.put('1/packs/second', inChunks(randomBytes(8_000_000)), { signal })
      await expect(tooMuch).rejects.toMatchObject({ code: 'STORAGE_FULL', status: 507 })
      expect(filesBelow(folder)).toEqual(['blobs/1/packs/first'])
      expect(await store.put('1/packs/third', inChunks(randomBytes(2_000_000)), { signal })).toBe(2_000_000)
      expect((await read(store, '1/packs/first')).length).toBe(1_000_000)
    } finally {
      unmount()
    }
  })
})

describe('with-limit', () => {
  const blob = Buffer.alloc(200_000, 1)
  let store: BlobStore

  beforeEach(async () => {
    store = withLimit(memoryBlobStore(), { reads: 2, writes: 1 })
    await store.put('a', inChunks(blob), { signal })
  })

  test('lets no more readers in than it has places, and the next one when a stream ends', async () => {
    const first = await store.get('a', { signal })
    const second = await store.get('a', { signal })
    let entered = false
    const third = store.get('a', { signal }).then((stream) => {
      entered = true
      return stream
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(entered).toBe(false)
    first.destroy()
    ;(await third).destroy()
    second.destroy()
  })

  test('gives its place back when there is no such blob', async () => {
    for (let tries = 0; tries < 5; tries++) await expect(store.get('b', { signal })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect((await read(store, 'a')).length).toBe(blob.length)
  })

  test('lets one who waits leave the line', async () => {
    const open = [await store.get('a', { signal }), await store.get('a', { signal })]
    const controller = new AbortController()
    const waiting = store.get('a', { signal: controller.signal })
    const reason = new Error('no longer wanted')
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    for (const stream of open) stream.destroy()
    expect((await read(store, 'a')).length).toBe(blob.length)
  })

  test('never deadlocks one who copies from blob to blob', async () => {
    const copies = Array.from({ length: 5 }, async (_, number) => {
      const source = await store.get('a', { signal })
      return await store.put(`copy-${number}`, source, { signal })
    })
    expect(await Promise.all(copies)).toEqual(Array.from({ length: 5 }, () => blob.length))
  })
})

describe('with-retry', () => {
  const passing = new CairnError('STORAGE_FAILED', 'a: reset', {
    cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }),
  })
  const lasting = new CairnError('STORAGE_FAILED', 'a: denied', {
    cause: Object.assign(new Error('denied'), { code: 'AccessDenied' }),
  })

  function failing(error: Error, times: number): { store: BlobStore; calls: () => number } {
    let calls = 0
    const store: BlobStore = {
      ...memoryBlobStore(),
      stat: async (key) => {
        if (++calls <= times) throw error
        return { key, size: 1, modified: new Date(0) }
      },
    }
    return { store: withRetry(store, { attempts: 4, pauseMs: 1 }), calls: () => calls }
  }

  test('tries again what failed for a reason that passes', async () => {
    const { store, calls } = failing(passing, 3)
    expect(await store.stat('a')).toMatchObject({ size: 1 })
    expect(calls()).toBe(4)
  })

  test('gives up after its attempts, with the last error', async () => {
    const { store, calls } = failing(passing, 9)
    await expect(store.stat('a')).rejects.toBe(passing)
    expect(calls()).toBe(4)
  })

  test('does not repeat what stays as it is', async () => {
    const { store, calls } = failing(lasting, 9)
    await expect(store.stat('a')).rejects.toBe(lasting)
    expect(calls()).toBe(1)
  })
})

describe('with-metrics', () => {
  test('tells of every call how it ended', async () => {
    const calls: BlobCall[] = []
    const store = withMetrics(memoryBlobStore(), (call) => calls.push(call))
    await store.put('a', inChunks(Buffer.alloc(100_000)), { signal })
    await read(store, 'a')
    ;(await store.get('a', { signal })).destroy()
    await new Promise((resolve) => setImmediate(resolve))
    await store.get('b', { signal }).catch(() => undefined)
    await store.put('c', inChunks(Buffer.alloc(1)), { signal: AbortSignal.abort() }).catch(() => undefined)
    expect(calls.map(({ operation, outcome, bytes }) => [operation, outcome, bytes])).toEqual([
      ['put', 'ok', 100_000],
      ['get', 'ok', 0],
      ['get', 'cancelled', 0],
      ['get', 'missing', 0],
      ['put', 'cancelled', 0],
    ])
  })
})

/** A file system of 4 MiB on the folder; undefined where that cannot be had. The function that is returned removes it. */
function mountTinyDisk(folder: string): (() => void) | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'cairn-test', folder], { stdio: 'ignore' })
    return () => void execFileSync('umount', ['-l', folder])
  } catch {
    return undefined
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .toSorted()
}
