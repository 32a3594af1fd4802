import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { LITERAL } from '@cairn/protocol/delta'
import type { Digest } from '@cairn/protocol/digest'
import { compareFiles, type FileDifference } from '../../client-cli/src/remote/file-difference.ts'
import type { Remote } from '../../client-cli/src/remote/remote.ts'
import { openCairn } from '../rig/cairn-remote.ts'
import { type CountingProxy, startCountingProxy } from '../rig/counting-proxy.ts'
import { digestOf, startTestServer, type TestServer } from '../rig/server.ts'
import { createStockedCache, quietly, type StockedCache } from '../rig/stocked-cache.ts'

const MIB = 1024 * 1024
const SIZE = 10 * MIB
let server: TestServer
/** `slow` answers after 30 ms, which is slow for a MiB. */
const lines: Record<'fast' | 'slow', CountingProxy> = {} as never
let project: string
let serial = 0
let cache: StockedCache
let base: Buffer
const remotes: Remote[] = []
const caches: StockedCache[] = []

beforeAll(async () => {
  server = await startTestServer()
  lines.fast = await startCountingProxy(server.url)
  lines.slow = await startCountingProxy(server.url, { latencyMs: 30 })
  base = randomBytes(SIZE)
})
afterAll(async () => {
  await lines.fast?.close()
  await lines.slow?.close()
  await server?.stop()
})
beforeEach(async () => {
  project = `p${serial++}`
  await server.createProject(project)
  cache = freshCache()
  const digest = cache.file(base)
  expect((await server.ask('PUT', `/api/v1/projects/${project}/objects/${digest}`, { body: base })).status).toBe(201)
})
afterEach(async () => {
  for (const remote of remotes.splice(0)) await remote.close()
  for (const one of caches.splice(0)) one.remove()
})

function freshCache(): StockedCache {
  const fresh = createStockedCache()
  caches.push(fresh)
  return fresh
}

async function open(line: CountingProxy, from: StockedCache, options: { deltas?: boolean } = {}): Promise<Remote> {
  const token = await server.token(['read', 'write'], [project])
  const remote = await openCairn({ url: `${line.url}/dvc/${project}`, token, cache: from.cache, ...options })
  remotes.push(remote)
  line.reset()
  return remote
}

const earlier = (...digests: Digest[]) => quietly({ earlier: () => Promise.resolve(digests) })
const changedIn = (bytes: Buffer, ...changes: Array<[at: number, length: number]>) => {
  const changed = Buffer.from(bytes)
  for (const [at, length] of changes) randomBytes(length).copy(changed, at)
  return changed
}
const insertedAt = (bytes: Buffer, ...places: number[]) => {
  const cuts = [0, ...places, bytes.length]
  const pieces = cuts.slice(0, -1).flatMap((cut, index) => [bytes.subarray(cut, cuts[index + 1]), Buffer.from('inserted')])
  return Buffer.concat(pieces.slice(0, -1))
}

async function push(bytes: Buffer, line: CountingProxy, options = earlier(digestOf(base)), way: { deltas?: boolean } = {}) {
  const digest = cache.file(bytes)
  const remote = await open(line, cache, way)
  const result = await remote.push([], [digest], options)
  expect(result.failed).toEqual([])
  const stored = await server.ask('GET', `/api/v1/projects/${project}/objects/${digest}`)
  expect(bytes.equals(Buffer.from(await stored.arrayBuffer()))).toBe(true)
  return { digest, sent: line.sent, requests: [...line.requests] }
}

async function pull(
  digest: Digest,
  to: StockedCache,
  line: CountingProxy,
  options = earlier(digestOf(base)),
  way: { deltas?: boolean } = {},
) {
  const remote = await open(line, to, way)
  const result = await remote.fetch([digest], to.cache, options)
  expect(result.failed).toEqual([])
  expect(createHash('md5').update(to.read(digest)).digest('hex')).toBe(digest)
  return { received: line.received, requests: [...line.requests] }
}

describe('a push of a large object that changed a little', () => {
  test('sends the change and not the file', async () => {
    const { sent, requests } = await push(changedIn(base, [7 * MIB, 64 * 1024]), lines.fast)
    expect(sent).toBeLessThan(80 * 1024)
    expect(requests.length).toBeLessThanOrEqual(5)
  })

  test('sends little also for a byte in front, one at the end, and a file cut short', async () => {
    expect((await push(Buffer.concat([Buffer.from('x'), base]), lines.fast)).sent).toBeLessThan(2000)
    expect((await push(Buffer.concat([base, Buffer.from('x')]), lines.fast)).sent).toBeLessThan(2000)
    expect((await push(base.subarray(0, SIZE - 1000), lines.fast)).sent).toBeLessThan(2000)
  })

  test('finds on a slow line what moved, in the cache or from the server alone', async () => {
    const moved = insertedAt(base, 2 * MIB, 5 * MIB, 8 * MIB)
    expect((await push(moved, lines.slow)).sent).toBeLessThan(2 * MIB)
    cache.drop(digestOf(base))
    expect((await push(insertedAt(base, 5 * MIB), lines.slow)).sent).toBeLessThan(2 * MIB)
  })

  test('sends the whole where that is not to be had', async () => {
    const change = () => changedIn(base, [MIB, 1000])
    expect((await push(change(), lines.fast, earlier(digestOf('never there')))).sent).toBeGreaterThan(SIZE)
    expect((await push(change(), lines.fast, quietly())).sent).toBeGreaterThan(SIZE)
    expect((await push(randomBytes(SIZE), lines.fast)).sent).toBeGreaterThan(SIZE)
  })

  test('sends the whole when it is switched off', async () => {
    const { sent, requests } = await push(changedIn(base, [MIB, 1000]), lines.fast, earlier(digestOf(base)), { deltas: false })
    expect(sent).toBeGreaterThan(SIZE)
    expect(requests.filter((request) => request.includes('deltas'))).toEqual([])
  })

  test('sends the whole when the base in the cache is not what its name says', async () => {
    cache.damage(digestOf(base))
    const alike = changedIn(cache.read(digestOf(base)), [MIB, 1000])
    expect((await push(alike, lines.fast)).sent).toBeGreaterThan(SIZE)
  })
})

describe('a pull of a large object that changed a little', () => {
  const clone = () => {
    const other = freshCache()
    other.file(base)
    return other
  }

  test('brings back what was pushed as a difference as one', async () => {
    const { digest } = await push(changedIn(base, [2 * MIB, 64 * 1024]), lines.fast)
    const { received, requests } = await pull(digest, clone(), lines.fast)
    expect(received).toBeLessThan(80 * 1024)
    expect(requests.length).toBeLessThanOrEqual(3)
  })

  test('compares chunks on a slow line when it was pushed whole', async () => {
    const bytes = insertedAt(base, 3 * MIB, 7 * MIB)
    const { digest } = await push(bytes, lines.fast, quietly())
    expect((await pull(digest, clone(), lines.slow)).received).toBeLessThan(3 * MIB)
  })

  test('brings the whole when it is switched off, or nothing is known', async () => {
    const { digest } = await push(changedIn(base, [2 * MIB, 64 * 1024]), lines.fast)
    expect((await pull(digest, clone(), lines.fast, earlier(digestOf(base)), { deltas: false })).received).toBeGreaterThan(SIZE)
    expect((await pull(digest, clone(), lines.fast, quietly())).received).toBeGreaterThan(SIZE)
    expect((await pull(digest, freshCache(), lines.fast)).received).toBeGreaterThan(SIZE)
  })

  test('brings the whole when the earlier version in the cache is damaged', async () => {
    const { digest } = await push(changedIn(base, [2 * MIB, 64 * 1024]), lines.fast)
    const other = clone()
    other.damage(digestOf(base))
    expect((await pull(digest, other, lines.fast)).received).toBeGreaterThan(SIZE)
  })
})

describe('the difference of two files', () => {
  let dir: string
  beforeAll(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-difference-'))
  })
  afterAll(() => rmSync(dir, { recursive: true }))

  async function difference(left: Buffer, right: Buffer, mayChunk = true): Promise<FileDifference> {
    const [a, b] = [path.join(dir, 'a'), path.join(dir, 'b')]
    writeFileSync(a, left)
    writeFileSync(b, right)
    return compareFiles(a, b, { signal: new AbortController().signal, mayChunk: () => Promise.resolve(mayChunk) })
  }
  const made = (left: Buffer, right: Buffer, { segments }: FileDifference) =>
    Buffer.concat(
      segments.map(({ base: from, offset, length }) => (from === LITERAL ? right : left).subarray(offset, offset + length)),
    )

  test('makes one of the other, whatever was done to it', async () => {
    const left = base.subarray(0, 3 * MIB)
    const edit = fc.record({
      kind: fc.constantFrom('change', 'insert', 'remove'),
      at: fc.nat(left.length - 1),
      length: fc.oneof(fc.nat(40), fc.nat(300_000)),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { maxLength: 5 }), fc.boolean(), async (edits, mayChunk) => {
        let right = Buffer.from(left)
        for (const { kind, at, length } of edits) {
          const fresh = kind === 'remove' ? Buffer.alloc(0) : randomBytes(length)
          right = Buffer.concat([right.subarray(0, at), fresh, right.subarray(kind === 'insert' ? at : at + length)])
        }
        const found = await difference(left, right, mayChunk)
        expect(made(left, right, found).equals(right)).toBe(true)
      }),
      { numRuns: 25 },
    )
  })

  test('stays small for scattered changes in place, and bounded in pieces for very many', async () => {
    const left = base.subarray(0, 8 * MIB)
    const few = changedIn(left, ...Array.from({ length: 20 }, (_, index): [number, number] => [index * 400_000, 8]))
    expect((await difference(left, few, false)).literalBytes).toBeLessThanOrEqual(20 * 8192)
    const many = changedIn(left, ...Array.from({ length: 4000 }, (_, index): [number, number] => [index * 2000, 1]))
    expect((await difference(left, many, false)).segments.length).toBeLessThanOrEqual(1024)
  })

  test('a change in a file that also grew at its end costs the change, on a line of any speed', async () => {
    const left = base.subarray(0, 6 * MIB)
    const right = Buffer.concat([changedIn(left, [MIB, 100]), Buffer.from('one more line')])
    const found = await difference(left, right, false)
    expect(made(left, right, found).equals(right)).toBe(true)
    expect(found.literalBytes).toBeLessThanOrEqual(2 * 8192)
  })
})
