import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { isCode } from '@cairn/protocol/error'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BlobDraft, BlobStat, BlobStore, Bytes } from '../../server/src/domain/ports/blob-store.ts'

const MIB = 1 << 20

export interface OpenedStore {
  store: BlobStore
  close?: () => Promise<void> | void
}

/** What every blob store does. `keepsUnfinished`: an upload that never ends leaves something that can be found. */
export function blobStoreConformance(
  name: string,
  open: () => Promise<OpenedStore> | OpenedStore,
  options: { keepsUnfinished: boolean },
): void {
  describe(`blob store: ${name}`, () => {
    const signal = new AbortController().signal
    const project = `p${randomUUID()}`
    const freshKey = (): string => `${project}/objects/ab/${randomUUID()}`
    let opened: OpenedStore
    let store: BlobStore

    beforeAll(async () => {
      opened = await open()
      store = opened.store
    })

    afterAll(async () => {
      const keys = (await listed(store, `${project}/`)).map(({ key }) => key)
      await store.delete(keys)
      await opened.close?.()
    })

    const expectNothingUnder = async (key: string): Promise<void> => {
      expect(await store.stat(key)).toBeUndefined()
      await expect(store.get(key, { signal })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      expect(await listed(store, key)).toEqual([])
    }

    test('answers to a check', async () => {
      await expect(store.check(signal)).resolves.toBeUndefined()
    })

    test.each([
      ['of no byte', 0],
      ['of one byte', 1],
      ['of a few chunks', 300_001],
      ['of exactly one part', 16 * MIB],
      ['of one byte more than a part', 16 * MIB + 1],
      ['of 40 MiB', 40 * MIB],
    ])('gives back a blob %s, whether its size was told or not', async (_, size) => {
      const blob = randomBytes(size)
      for (const told of [size, undefined]) {
        const key = freshKey()
        expect(await store.put(key, inChunks(blob), { signal, size: told })).toBe(size)
        expect(await store.stat(key)).toMatchObject({ key, size })
        expect(md5(await read(store, key))).toBe(md5(blob))
      }
    })

    test('takes a blob of 70 MiB, whose size was told, in parts', async () => {
      const key = freshKey()
      const chunk = randomBytes(MIB)
      const hash = createHash('md5')
      for (let number = 0; number < 70; number++) hash.update(chunk)
      const blob = (async function* () {
        for (let number = 0; number < 70; number++) yield chunk
      })()
      expect(await store.put(key, blob, { signal, size: 70 * MIB })).toBe(70 * MIB)
      const found = createHash('md5')
      for await (const piece of await store.get(key, { signal })) found.update(piece as Buffer)
      expect(found.digest('hex')).toBe(hash.digest('hex'))
    })

    test('gives back any range, cut at the end of the blob', async () => {
      const blob = randomBytes(200_000)
      const key = freshKey()
      await store.put(key, inChunks(blob), { signal })
      const ranges = [
        { start: 0, end: 1 },
        { start: 0, end: 200_000 },
        { start: 199_999, end: 200_000 },
        { start: 65_535, end: 131_073 },
        { start: 100, end: 100 },
        { start: 199_990, end: 300_000 },
        { start: 200_000, end: 200_010 },
      ]
      for (const range of ranges) {
        const part = await read(store, key, range)
        expect(part.equals(blob.subarray(range.start, range.end)), JSON.stringify(range)).toBe(true)
      }
    })

    test('says NOT_FOUND of a key that there is not, before it returns a stream', async () => {
      await expectNothingUnder(freshKey())
      await expect(store.get(freshKey(), { signal, range: { start: 5, end: 10 } })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })

    test.each([
      ['at once', 0, undefined],
      ['after some chunks', 3 * 65_536, undefined],
      ['after some chunks of a size that was told', 3 * 65_536, 400_000],
      ['after all bytes of a size that was told', 400_000, 400_000],
      ['after two parts', 33 * MIB, undefined],
      ['after all bytes of many parts', 70 * MIB, 70 * MIB],
    ])('leaves nothing visible when the source throws %s', async (_, length, size) => {
      const key = freshKey()
      const failure = new Error('the client hung up')
      const source = (async function* () {
        for (let rest = length; rest > 0; rest -= 65_536) yield Buffer.alloc(Math.min(rest, 65_536), 7)
        throw failure
      })()
      await expect(store.put(key, source, { signal, size })).rejects.toBe(failure)
      await expectNothingUnder(key)
    })

    test.each([
      ['before the first byte', 0],
      ['between chunks', 200_000],
      ['between parts', 20 * MIB],
    ])('leaves nothing visible, and does not wait for a silent source, when a put is aborted %s', async (_, length) => {
      const key = freshKey()
      const controller = new AbortController()
      const reason = new Error('enough')
      const source = (async function* () {
        if (length > 0) yield Buffer.alloc(length, 1)
        setImmediate(() => controller.abort(reason))
        await new Promise(() => undefined)
      })()
      await expect(store.put(key, source, { signal: controller.signal })).rejects.toBe(reason)
      await expectNothingUnder(key)
    })

    test('does not begin what was aborted before', async () => {
      const key = freshKey()
      const reason = new Error('too late')
      await expect(store.put(key, inChunks(randomBytes(10)), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
      await expect(store.get(key, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
      await expectNothingUnder(key)
    })

    test('stores many blobs at once', async () => {
      const blobs = Array.from({ length: 40 }, () => ({ key: freshKey(), bytes: randomBytes(10_000) }))
      await Promise.all(blobs.map(({ key, bytes }) => store.put(key, inChunks(bytes), { signal, size: bytes.length })))
      const found = await Promise.all(blobs.map(({ key }) => read(store, key)))
      expect(found.map(md5)).toEqual(blobs.map(({ bytes }) => md5(bytes)))
    })

    test('lists what is under a prefix, with its size, and nothing else', async () => {
      const shelf = `${project}/shelf`
      const names = ['packs/a', 'packs/b', 'objects/00/x', 'objects/01/y', 'objects-0']
      for (const [size, name] of names.entries()) await store.put(`${shelf}/${name}`, inChunks(randomBytes(size)), { signal })
      const under = async (prefix: string): Promise<string[]> => (await listed(store, prefix)).map(({ key }) => key).toSorted()
      expect(await under(`${shelf}/`)).toEqual(names.map((name) => `${shelf}/${name}`).toSorted())
      expect(await under(`${shelf}/objects/`)).toEqual([`${shelf}/objects/00/x`, `${shelf}/objects/01/y`])
      expect(await under(`${shelf}/objects/0`)).toEqual([`${shelf}/objects/00/x`, `${shelf}/objects/01/y`])
      expect(await under(`${shelf}/packs/b`)).toEqual([`${shelf}/packs/b`])
      expect(await under(`${shelf}/nothing`)).toEqual([])
      const [blob] = await listed(store, `${shelf}/packs/b`)
      expect(blob?.size).toBe(1)
      expect(Math.abs(Date.now() - Number(blob?.modified))).toBeLessThan(60_000)
    })

    test('lists more blobs than one answer of a bucket holds', async () => {
      const names = Array.from({ length: 1_050 }, (_, number) => `${project}/many/${String(number).padStart(4, '0')}`)
      for (let start = 0; start < names.length; start += 50) {
        await Promise.all(
          names.slice(start, start + 50).map((key) => store.put(key, inChunks(Buffer.alloc(1)), { signal, size: 1 })),
        )
      }
      expect((await listed(store, `${project}/many/`)).map(({ key }) => key).toSorted()).toEqual(names)
      await store.delete(names)
      expect(await listed(store, `${project}/many/`)).toEqual([])
    })

    test('deletes, also what is not there', async () => {
      const keys = [freshKey(), freshKey()]
      for (const key of keys) await store.put(key, inChunks(randomBytes(10)), { signal })
      await store.delete([keys[0] ?? '', freshKey()])
      await expectNothingUnder(keys[0] ?? '')
      expect(await store.stat(keys[1] ?? '')).toBeDefined()
      await store.delete([])
      await store.delete(keys)
      await expectNothingUnder(keys[1] ?? '')
    })

    test('survives readers that leave early', async () => {
      const key = freshKey()
      const blob = randomBytes(20 * MIB)
      await store.put(key, inChunks(blob), { signal, size: blob.length })
      for (let number = 0; number < 100; number++) {
        const stream = await store.get(key, { signal })
        for await (const chunk of stream) {
          expect((chunk as Buffer).length).toBeGreaterThan(0)
          break
        }
        if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
      }
      expect(md5(await read(store, key))).toBe(md5(blob))
    })

    test('ends a stream with an error when its signal aborts', async () => {
      const key = freshKey()
      await store.put(key, inChunks(Buffer.alloc(20 * MIB)), { signal })
      const controller = new AbortController()
      const stream = await store.get(key, { signal: controller.signal })
      const reading = (async () => {
        for await (const _ of stream) controller.abort()
      })()
      await expect(reading).rejects.toThrow()
      expect(stream.destroyed).toBe(true)
    })

    test('lets an upload in progress be while it removes old ones', async () => {
      const key = freshKey()
      const upload = slowUpload(store, key)
      await upload.underWay
      await store.removeUnfinished(new Date(Date.now() - 3_600_000), signal)
      upload.goOn()
      expect(await upload.put).toBe(upload.size)
      expect(await store.stat(key)).toMatchObject({ size: upload.size })
    })

    test.runIf(options.keepsUnfinished)(
      'removes uploads that are older than asked, and leaves finished blobs alone',
      async () => {
        const finished = freshKey()
        await store.put(finished, inChunks(randomBytes(10)), { signal })
        const key = freshKey()
        const upload = slowUpload(store, key)
        await upload.underWay
        expect(await store.removeUnfinished(new Date(Date.now() + 3_600_000), signal)).toBeGreaterThan(0)
        expect(await store.removeUnfinished(new Date(Date.now() + 3_600_000), signal)).toBe(0)
        upload.goOn()
        await expect(upload.put).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
        await expectNothingUnder(key)
        expect(await store.stat(finished)).toBeDefined()
      },
    )

    describe('a blob that grows in parts', () => {
      const plan = { size: 12 * MIB + 17, partBytes: 5 * MIB }
      const blob = randomBytes(plan.size)
      const partOf = (number: number): Buffer => blob.subarray(number * plan.partBytes, (number + 1) * plan.partBytes)
      const begin = async (): Promise<BlobDraft> => {
        const key = freshKey()
        return { key, ...plan, id: await store.beginDraft(key, plan, signal) }
      }
      const send = (draft: BlobDraft, number: number): Promise<string> =>
        store.putPart(draft, number, inChunks(partOf(number)), { signal })

      test('is what its parts are, in whichever order they came, and nothing before it is completed', async () => {
        const draft = await begin()
        const receipts: string[] = []
        for (const number of [2, 0, 1]) receipts[number] = await send(draft, number)
        await expectNothingUnder(draft.key)
        await store.completeDraft(draft, receipts, { signal })
        expect(await store.stat(draft.key)).toMatchObject({ size: plan.size })
        expect(md5(await read(store, draft.key))).toBe(md5(blob))
      })

      test('takes parts at once, and its completion twice', async () => {
        const draft = await begin()
        const receipts = await Promise.all([0, 1, 2].map((number) => send(draft, number)))
        await store.completeDraft(draft, receipts, { signal })
        await store.completeDraft(draft, receipts, { signal })
        expect(md5(await read(store, draft.key))).toBe(md5(blob))
      })

      test('takes a part again that broke off', async () => {
        const draft = await begin()
        const failure = new Error('the client hung up')
        const broken = (async function* () {
          yield Buffer.alloc(2 * MIB, 1)
          throw failure
        })()
        const receipts = [await send(draft, 0)]
        await expect(store.putPart(draft, 1, broken, { signal })).rejects.toBe(failure)
        const controller = new AbortController()
        const reason = new Error('enough')
        const silent = (async function* () {
          yield Buffer.alloc(1 * MIB, 2)
          setImmediate(() => controller.abort(reason))
          await new Promise(() => undefined)
        })()
        await expect(store.putPart(draft, 1, silent, { signal: controller.signal })).rejects.toBe(reason)
        receipts.push(await send(draft, 1), await send(draft, 2))
        await store.completeDraft(draft, receipts, { signal })
        expect(md5(await read(store, draft.key))).toBe(md5(blob))
      })

      test('is gone when it is dropped, also twice', async () => {
        const draft = await begin()
        const receipts = [await send(draft, 0)]
        await store.dropDraft(draft)
        await store.dropDraft(draft)
        await expect(send(draft, 1)).rejects.toMatchObject({ code: 'NOT_FOUND' })
        await expect(store.completeDraft(draft, receipts, { signal })).rejects.toMatchObject({ code: 'NOT_FOUND' })
        await expectNothingUnder(draft.key)
      })

      test.runIf(options.keepsUnfinished)('stands as long as it is said to, and is removed as unfinished otherwise', async () => {
        const [standing, abandoned] = [await begin(), await begin()]
        const receipts = [await send(standing, 0)]
        await send(abandoned, 0)
        const later = new Date(Date.now() + 3_600_000)
        expect(await store.removeUnfinished(later, signal, new Set([standing.id]))).toBeGreaterThan(0)
        await expect(send(abandoned, 1)).rejects.toMatchObject({ code: 'NOT_FOUND' })
        receipts.push(await send(standing, 1), await send(standing, 2))
        await store.completeDraft(standing, receipts, { signal })
        expect(md5(await read(store, standing.key))).toBe(md5(blob))
      })
    })

    test.each(['', '/a', 'a/', 'a//b', '../a', 'a/../b', 'A', 'a b', 'a\0', 'é', `${'a/'.repeat(100)}a`])(
      'refuses the key %j',
      async (key) => {
        await expect(store.put(key, inChunks(Buffer.alloc(1)), { signal })).rejects.toThrow('not a blob key')
        await expect(store.get(key, { signal })).rejects.toThrow()
      },
    )

    test('where blobs have addresses: a URL takes these very bytes for this key, and another one gives them back', async () => {
      if (!store.direct) return
      const key = freshKey()
      const blob = randomBytes(1000)
      const digests = { md5: createHash('md5').update(blob).digest(), sha256: createHash('sha256').update(blob).digest() }
      const { url, headers } = store.direct.put(key, { ...digests, size: blob.length, expires: 60 })
      expect((await fetch(url, { method: 'PUT', headers, body: randomBytes(1000) })).ok).toBe(false)
      expect(await store.stat(key)).toBeUndefined()
      expect((await fetch(url, { method: 'PUT', headers, body: blob })).ok).toBe(true)
      expect((await read(store, key)).equals(blob)).toBe(true)
      const answer = await fetch(store.direct.get(key, { expires: 60 }), { headers: { range: 'bytes=10-19' } })
      expect(blob.subarray(10, 20).equals(new Uint8Array(await answer.arrayBuffer()))).toBe(true)
    })

    test('translates its own failures only', async () => {
      const failure = new RangeError('a bug of the source')
      const source = (async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(10)
        throw failure
      })()
      const error: unknown = await store.put(freshKey(), source, { signal }).catch((thrown: unknown) => thrown)
      expect(error).toBe(failure)
      expect(isCode(error, 'STORAGE_FAILED')).toBe(false)
    })
  })
}

/** An upload of several parts that stops before its last byte until it is told to go on. */
function slowUpload(
  store: BlobStore,
  key: string,
): { size: number; put: Promise<number>; underWay: Promise<void>; goOn: () => void } {
  const underWay = Promise.withResolvers<void>()
  const pausing = Promise.withResolvers<void>()
  const source = (async function* () {
    yield Buffer.alloc(40 * MIB)
    underWay.resolve()
    await pausing.promise
    yield Buffer.alloc(1)
  })()
  const put = store.put(key, source, { signal: new AbortController().signal })
  put.catch(() => undefined)
  return { size: 40 * MIB + 1, put, underWay: underWay.promise, goOn: pausing.resolve }
}

/** Bytes as a request brings them. */
export async function* inChunks(bytes: Uint8Array, length = 65_536): Bytes {
  for (let offset = 0; offset < bytes.length; offset += length) yield bytes.subarray(offset, offset + length)
}

export async function read(store: BlobStore, key: string, range?: { start: number; end: number }): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of await store.get(key, { range, signal: new AbortController().signal })) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

export async function listed(store: BlobStore, prefix: string): Promise<BlobStat[]> {
  const found: BlobStat[] = []
  for await (const blob of store.list(prefix, new AbortController().signal)) found.push(blob)
  return found
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}
