import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { unpackChunks } from '@cairn/protocol/chunks'
import { type Recipe } from '@cairn/protocol/delta'
import { openDelta } from '@cairn/protocol/delta-stream'
import { type Digest, packDigests } from '@cairn/protocol/digest'
import { DELTA_TYPE, DIGESTS_TYPE } from '@cairn/protocol/limits'
import { NEW_SCRUB, scrub } from '../../server/src/domain/scrub.ts'
import { expire } from '../../server/src/domain/expire.ts'
import { changedAt, deltaOf, type MadeDelta } from '../rig/delta.ts'
import { digestOf, startTestServer, type TestServer } from '../rig/server.ts'

const MIB = 1024 * 1024
let server: TestServer
let project = 'demo'
let serial = 0

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const at = (route: string, slug = project) => `/api/v1/projects/${slug}/${route}`
const put = (bytes: Uint8Array, slug = project) => server.ask('PUT', at(`objects/${digestOf(bytes)}`, slug), { body: bytes })
const sendDelta = (delta: Pick<MadeDelta, 'digest' | 'body'>, body: Uint8Array | ReadableStream = delta.body) =>
  server.ask('POST', at(`deltas?digest=${delta.digest}`), { body, headers: { 'Content-Type': DELTA_TYPE } })
const get = (digest: Digest, headers: Record<string, string> = {}) => server.ask('GET', at(`objects/${digest}`), { headers })
const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer())
const codeOf = async (answer: Response) => [answer.status, ((await answer.json()) as { code: string }).code]
const missing = async (digests: Digest[]) => {
  const answer = await server.ask('POST', at('objects/missing'), { json: { digests } })
  return ((await answer.json()) as { missing: Digest[] }).missing
}
const damaged = async () => {
  const answer = await server.ask('GET', at('damaged'))
  return ((await answer.json()) as { damaged: Array<{ digest: Digest }> }).damaged.map((row) => row.digest)
}
const runScrub = () =>
  scrub(server.parts.stores, { from: NEW_SCRUB, signal: new AbortController().signal, onProgress: () => Promise.resolve() })

/** A project of its own, with a base in it. */
async function freshBase(size = 5 * MIB): Promise<Buffer> {
  project = `deltas${serial++}`
  await server.createProject(project)
  const base = randomBytes(size)
  expect((await put(base)).status).toBe(201)
  return base
}

function blobFiles(part: string): string[] {
  const folder = path.join(server.blobDir, 'blobs')
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.includes(part))
    .map((name) => path.join(folder, name))
}
const fileOf = (digest: Digest) => blobFiles(digest)[0] ?? ''

function flip(file: string, place: number): void {
  const bytes = readFileSync(file)
  bytes[place] = (bytes[place] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

async function* inOne(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function fetchDelta(digest: Digest, have: Digest[]): Promise<{ recipe: Recipe; bytes: number } | undefined> {
  const headers = { 'Content-Type': DIGESTS_TYPE }
  const answer = await server.ask('POST', at(`deltas/fetch?digest=${digest}`), { body: packDigests(have), headers })
  if (answer.status === 204) return undefined
  expect(answer.status).toBe(200)
  const body = await bytesOf(answer)
  const delta = await openDelta(inOne(body))
  return { recipe: delta.recipe, bytes: body.length }
}

describe('an object that comes as a delta', () => {
  test('is the same object to whoever reads it, and rests as the difference', async () => {
    const base = await freshBase()
    const delta = changedAt(base, 3 * MIB, 64 * 1024)
    const stored = await sendDelta(delta)
    expect([stored.status, await stored.json()]).toEqual([201, { digest: delta.digest, size: base.length, outcome: 'stored' }])
    const whole = await get(delta.digest)
    expect(whole.headers.get('content-length')).toBe(String(base.length))
    expect(delta.bytes.equals(await bytesOf(whole))).toBe(true)
    const head = await server.ask('HEAD', at(`objects/${delta.digest}`))
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(base.length)])
    const stock = await server.ask('GET', `/dvc/${project}/files/md5/${delta.digest.slice(0, 2)}/${delta.digest.slice(2)}`)
    expect(delta.bytes.equals(await bytesOf(stock))).toBe(true)
    expect(readFileSync(fileOf(delta.digest)).length).toBeLessThan(66_000)
    expect(await missing([delta.digest, digestOf(base)])).toEqual([])
  })

  test('gives any range as a slice of the whole', async () => {
    const base = await freshBase()
    const other = randomBytes(5 * MIB)
    await put(other)
    const pieces = Array.from({ length: 60 }, (_, index) =>
      index % 3 === 2 ? randomBytes(7001) : { base: index % 3, start: index * 80_000, end: index * 80_000 + 110_000 + index },
    )
    const delta = deltaOf([base, other], pieces)
    expect((await sendDelta(delta)).status).toBe(201)
    await fc.assert(
      fc.asyncProperty(fc.nat(delta.bytes.length - 1), fc.nat(400_000), async (start, length) => {
        const answer = await get(delta.digest, { Range: `bytes=${start}-${start + length}` })
        expect(answer.status).toBe(206)
        expect(delta.bytes.subarray(start, start + length + 1).equals(await bytesOf(answer))).toBe(true)
      }),
      { numRuns: 40 },
    )
  })

  test('may build on deltas: what rests names only plain bytes', async () => {
    const base = await freshBase()
    const second = changedAt(base, MIB, 50_000)
    await sendDelta(second)
    const third = changedAt(second.bytes, MIB + 20_000, 100_000)
    expect((await sendDelta(third)).status).toBe(201)
    const fourth = deltaOf(
      [third.bytes, base],
      [Buffer.from('front'), { base: 0, start: 0, end: 3 * MIB }, { base: 1, start: 0, end: 2 * MIB }],
    )
    expect((await sendDelta(fourth)).status).toBe(201)
    for (const { digest, bytes } of [second, third, fourth]) expect(bytes.equals(await bytesOf(await get(digest)))).toBe(true)
    const rested = await openDelta(inOne(readFileSync(fileOf(fourth.digest))))
    expect(rested.recipe.bases.filter((key) => key.includes('/objects/'))).toHaveLength(1)
    expect(rested.recipe.bases).toHaveLength(3)
  })

  test('is stored once when several send it at the same time', async () => {
    const base = await freshBase()
    const delta = changedAt(base, 100, 70_000)
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, async () => ((await (await sendDelta(delta)).json()) as { outcome: string }).outcome),
    )
    expect(outcomes.toSorted().at(-1)).toBe('stored')
    expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(1)
    expect(delta.bytes.equals(await bytesOf(await get(delta.digest)))).toBe(true)
  })
})

describe('a delta is refused', () => {
  test('when what it makes has another digest, and nothing is linked', async () => {
    const base = await freshBase()
    const delta = changedAt(base, 1000, 1000)
    delta.body[delta.body.length - 1] = (delta.body.at(-1) ?? 0) ^ 1
    expect(await codeOf(await sendDelta(delta))).toEqual([422, 'DIGEST_MISMATCH'])
    expect(await missing([delta.digest])).toEqual([delta.digest])
    expect(blobFiles(delta.digest)).toEqual([])
  })

  test('when a base is unknown, and a foreign one is as unknown', async () => {
    const foreign = await freshBase()
    await freshBase()
    const never = changedAt(randomBytes(5 * MIB), 0, 10)
    const unknown = await (await sendDelta(never)).json()
    const answer = await sendDelta(changedAt(foreign, 0, 10))
    expect(answer.status).toBe(409)
    const shape = ({ message, requestId, ...rest }: Record<string, unknown>) => ({
      ...rest,
      message: String(message).replace(/[0-9a-f]{32}/, ''),
    })
    expect(shape((await answer.json()) as Record<string, unknown>)).toEqual(shape(unknown as Record<string, unknown>))
  })

  test('when it does not add up', async () => {
    const base = await freshBase()
    const good = changedAt(base, MIB, 1000)
    const copy = { base: 0, start: 0, end: base.length }
    const cases: Record<string, [number, string, Pick<MadeDelta, 'digest' | 'body'>]> = {
      'another digest in the recipe': [422, 'BAD_DELTA', { ...good, digest: digestOf(base.subarray(1)) }],
      'literals cut short': [422, 'BAD_DELTA', { ...good, body: good.body.subarray(0, -1) }],
      'literals too many': [422, 'BAD_DELTA', { ...good, body: Buffer.concat([good.body, Buffer.from('x')]) }],
      'beyond the end of its base': [
        422,
        'BAD_DELTA',
        deltaOf([base], [copy, Buffer.from('x')], { segments: [{ base: 0, offset: 0, length: base.length + 1 }] }),
      ],
      'no delta at all': [422, 'BAD_DELTA', { ...good, body: Buffer.from('CAIRNPK1 and so on, for longer than a header') }],
      'a base without a digest': [422, 'BAD_DELTA', deltaOf([base], [copy, Buffer.from('x')], { bases: ['1/objects/aa/bb'] })],
      'a small object': [422, 'BAD_DELTA', deltaOf([base], [{ base: 0, start: 0, end: MIB }])],
      'itself as its base': [
        409,
        'BASE_UNKNOWN',
        deltaOf([base], [copy, Buffer.from('x')], { bases: [digestOf(Buffer.concat([base, Buffer.from('x')]))] }),
      ],
    }
    for (const [name, [status, code, delta]] of Object.entries(cases))
      expect([name, ...(await codeOf(await sendDelta(delta)))]).toEqual([name, status, code])
  })

  test('when its sender goes away in the middle, and nothing is left of it', async () => {
    const base = await freshBase()
    const delta = changedAt(base, MIB, 300_000)
    const leaving = new AbortController()
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(delta.body.subarray(0, 200_000))
        setTimeout(() => leaving.abort(), 50)
      },
    })
    const asked = server.ask('POST', at(`deltas?digest=${delta.digest}`), { body, signal: leaving.signal })
    await expect(asked).rejects.toThrow()
    await expect.poll(() => blobFiles('unfinished')).toEqual([])
    expect(await missing([delta.digest])).toEqual([delta.digest])
    expect((await sendDelta(delta)).status).toBe(201)
  })
})

describe('what a delta is made of', () => {
  test('a scrub finds a flipped byte in a base, in the literals and in the recipe', async () => {
    const base = await freshBase()
    const [one, two, three] = [changedAt(base, MIB, 2000), changedAt(base, 2 * MIB, 2000), changedAt(base, 3 * MIB, 2000)]
    for (const delta of [one, two, three]) await sendDelta(delta)
    await runScrub()
    expect(await damaged()).toEqual([])
    flip(fileOf(one.digest), readFileSync(fileOf(one.digest)).length - 7)
    flip(fileOf(two.digest), 30)
    await runScrub()
    expect((await damaged()).toSorted()).toEqual([one.digest, two.digest].toSorted())
    flip(fileOf(digestOf(base)), 4 * MIB)
    await runScrub()
    expect((await damaged()).toSorted()).toEqual([digestOf(base), one.digest, two.digest, three.digest].toSorted())
  })

  test('damage in a base cuts the download, marks the object, and pushing the whole repairs it', async () => {
    const base = await freshBase()
    const delta = changedAt(base, MIB, 2000)
    await sendDelta(delta)
    flip(fileOf(digestOf(base)), 4 * MIB)
    await expect(get(delta.digest).then(bytesOf)).rejects.toThrow()
    await expect.poll(damaged).toEqual([delta.digest])
    expect(await missing([delta.digest])).toEqual([delta.digest])
    expect(((await (await put(delta.bytes)).json()) as { outcome: string }).outcome).toBe('stored')
    expect(delta.bytes.equals(await bytesOf(await get(delta.digest)))).toBe(true)
  })

  test('stays while it is needed, and goes with the last that needs it', async () => {
    const base = await freshBase()
    const delta = changedAt(base, MIB, 2000)
    const next = changedAt(delta.bytes, 2 * MIB, 2000)
    for (const one of [delta, next]) expect((await sendDelta(one)).status).toBe(201)
    const { catalog } = server.parts.stores
    const trash = async () =>
      (await catalog.listTrash(0, 1000)).map((row) => row.key).filter((key) => key.startsWith(`${row.projectId}/`))
    const row = { projectId: (await catalog.findProject(project))?.id ?? 0 }
    const repair = async (bytes: Buffer) => {
      const [found] = await catalog.findObjects(row.projectId, [digestOf(bytes)])
      await catalog.markDamaged(row.projectId, [found?.id ?? 0])
      expect((await put(bytes)).status).toBe(201)
    }
    await repair(base)
    await repair(delta.bytes)
    expect(await trash()).toEqual([])
    await expire(server.parts.stores, new AbortController().signal)
    expect(next.bytes.equals(await bytesOf(await get(next.digest)))).toBe(true)
    await repair(next.bytes)
    const kinds = (await trash()).map((key) => key.split('/')[1])
    expect(kinds.toSorted()).toEqual(['deltas', 'deltas', 'objects'])
  })
})

describe('a pull', () => {
  test('of what was pushed as a delta costs the difference, in both directions', async () => {
    const base = await freshBase()
    const delta = changedAt(base, MIB, 60_000)
    await sendDelta(delta)
    const there = await fetchDelta(delta.digest, [digestOf('never'), digestOf(base)])
    expect(there?.bytes).toBeLessThan(62_000)
    expect(there?.recipe.bases).toEqual([digestOf(base)])
    const back = await fetchDelta(digestOf(base), [delta.digest])
    expect(back?.bytes).toBeLessThan(62_000)
    const sibling = changedAt(base, 4 * MIB, 60_000)
    await sendDelta(sibling)
    expect((await fetchDelta(sibling.digest, [delta.digest]))?.bytes).toBeLessThan(124_000)
  })

  test('gets no difference where the server knows none', async () => {
    const base = await freshBase()
    const other = randomBytes(5 * MIB)
    await put(other)
    expect(await fetchDelta(digestOf(other), [digestOf(base)])).toBeUndefined()
    expect(await fetchDelta(digestOf(other), [])).toBeUndefined()
    const headers = { 'Content-Type': DIGESTS_TYPE }
    const never = at(`deltas/fetch?digest=${digestOf('never')}`)
    expect(await codeOf(await server.ask('POST', never, { body: packDigests([]), headers }))).toEqual([404, 'OBJECT_UNKNOWN'])
  })

  test('learns the chunks of an object, however it rests', async () => {
    const base = await freshBase()
    const delta = changedAt(base, MIB, 60_000)
    await sendDelta(delta)
    const chunksOf = async (digest: Digest) =>
      unpackChunks(await bytesOf(await server.ask('GET', at(`objects/${digest}/chunks`))))
    const [first, second, again] = [await chunksOf(digestOf(base)), await chunksOf(delta.digest), await chunksOf(delta.digest)]
    expect(again).toEqual(second)
    for (const chunks of [first, second]) expect(chunks.reduce((sum, chunk) => sum + chunk.length, 0)).toBe(base.length)
    const known = new Set(first.map((chunk) => chunk.md5))
    expect(second.filter((chunk) => !known.has(chunk.md5)).length).toBeLessThan(8)
    expect(await codeOf(await server.ask('GET', at(`objects/${digestOf('x')}/chunks`)))).toEqual([404, 'OBJECT_UNKNOWN'])
  })
})
