import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Digest, md5Of, objectPath } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { parsePackIndex, parsePackTrailer, TRAILER_BYTES, INDEX_ENTRY_BYTES } from '@cairn/protocol/pack'
import type { BlobStore } from '../../server/src/domain/ports/blob-store.ts'
import type { ObjectRow } from '../../server/src/domain/ports/catalog.ts'
import { createHandlers } from '../../server/src/jobs/handlers.ts'
import { COLLISION } from '../rig/collision.ts'
import { digestOf, packOf, startTestServer, type TestServer, treeOf } from '../rig/server.ts'

const P = '/api/v1/projects/demo'
const signal = AbortSignal.timeout(120_000)
let server: TestServer
/** What a test wants to know of, or do to, a put. */
let onPut: ((key: string) => Promise<void>) | undefined

beforeAll(async () => {
  const watched = (disk: BlobStore): BlobStore => ({
    ...disk,
    async put(key, bytes, options) {
      const size = await disk.put(key, bytes, options)
      await onPut?.(key)
      return size
    },
  })
  server = await startTestServer({ blobs: watched })
  await server.createProject('other')
})
afterEach(() => {
  onPut = undefined
})
afterAll(() => server.stop())

const put = (bytes: Uint8Array | string, digest = digestOf(bytes), project = 'demo') =>
  server.ask('PUT', `/api/v1/projects/${project}/objects/${digest}`, { body: bytes })
const status = async (digest: Digest, token?: string) =>
  (await server.ask('GET', `${P}/objects/${digest}`, token ? { token } : {})).status
const missing = async (digests: Digest[]) =>
  ((await (await server.ask('POST', `${P}/objects/missing`, { json: { digests } })).json()) as { missing: Digest[] }).missing
const rowOf = async (digest: Digest): Promise<ObjectRow | undefined> =>
  (await server.parts.stores.catalog.findObjects(await demo(), [digest]))[0]
const demo = async () => (await server.parts.stores.catalog.findProject('demo'))?.id ?? 0
const corrupt = async (digest: Digest) => {
  const row = await rowOf(digest)
  await writeFile(`${server.blobDir}/blobs/${row?.key}`, 'x'.repeat(row?.size ?? 0))
}
const runJob = async (type: 'scrub' | 'expire-sessions') => {
  const seen: Array<Record<string, unknown>> = []
  const job = {
    id: '1',
    type,
    payload: {},
    state: 'running' as const,
    attempt: 1,
    createdAt: new Date(),
    finishedAt: null,
    progress: null,
    error: null,
  }
  await createHandlers(server.parts.stores)[type]({
    job,
    signal,
    progress: (value) => {
      seen.push(value)
      return Promise.resolve()
    },
  })
  return seen.at(-1)
}
const sql = async (text: string) => {
  const client = new pg.Client(server.poolConfig)
  await client.connect()
  await client.query(text)
  await client.end()
}

describe('1. bytes, row, answer', () => {
  test('the row is written after the blob is durable, and the answer after the row', async () => {
    const digest = digestOf('in this order')
    let rowAtPut: ObjectRow | undefined
    onPut = async (key) => {
      rowAtPut = await rowOf(digest)
      expect(await server.blobStore.stat(key)).toMatchObject({ size: 13 })
    }
    expect((await put('in this order')).status).toBe(201)
    expect(rowAtPut).toBeUndefined()
    expect((await rowOf(digest))?.state).toBe('live')
  })

  test('a store that fails leaves no row, and says so', async () => {
    for (const [code, expected] of [
      ['STORAGE_FULL', 507],
      ['STORAGE_FAILED', 503],
    ] as const) {
      onPut = () => Promise.reject(new CairnError(code, 'the test says so'))
      const answer = await put(`refused ${code}`)
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([expected, expected === 503 ? '3' : null])
      expect(await status(digestOf(`refused ${code}`))).toBe(404)
    }
  })

  test('a bug is answered with a request id and without its details', async () => {
    onPut = () => Promise.reject(new Error('secret path /srv/x'))
    const answer = await put('bug')
    const body = (await answer.json()) as { code: string; requestId: string }
    expect([answer.status, body.code, body.requestId]).toEqual([500, 'INTERNAL', answer.headers.get('x-request-id')])
    expect(JSON.stringify(body)).not.toContain('secret')
  })
})

describe('2. a digest is not a key to the bytes', () => {
  test('what another project holds is missing here, is not served here, and is not taken as sent', async () => {
    const bytes = 'only in the other project'
    const digest = digestOf(bytes)
    expect((await put(bytes, digest, 'other')).status).toBe(201)
    expect(await missing([digest])).toEqual([digest])
    const foreign = await server.ask('GET', `${P}/objects/${digest}`)
    const none = await server.ask('GET', `${P}/objects/${digestOf('nowhere at all')}`)
    const strip = async (answer: Response, of: Digest) => [
      answer.status,
      answer.statusText.replace(of, ''),
      (await answer.text()).replace(of, ''),
    ]
    expect(await strip(foreign, digest)).toEqual(await strip(none, digestOf('nowhere at all')))
    const tree = treeOf({ a: digest })
    expect((await server.ask('PUT', `${P}/objects/${tree.digest}`, { body: tree.bytes })).status).toBe(409)
    expect((await put('wrong bytes', digest)).status).toBe(422)
    expect(await status(digest)).toBe(404)
  })
})

describe('3. md5 names, sha256 proves', () => {
  const [one, two] = COLLISION

  test('other bytes with the same md5 are refused with 409, audited, and change nothing', async () => {
    expect(digestOf(one)).toBe(digestOf(two))
    expect((await put(one)).status).toBe(201)
    const second = await put(two)
    expect([second.status, ((await second.json()) as { code: string }).code]).toEqual([409, 'DIGEST_CONFLICT'])
    const packed = await server.ask('POST', `${P}/packs`, { body: packOf([{ bytes: two }]) })
    expect(((await packed.json()) as { refused: Array<{ code: string }> }).refused[0]?.code).toBe('DIGEST_CONFLICT')
    expect(Buffer.from(await (await server.ask('GET', `${P}/objects/${digestOf(one)}`)).arrayBuffer())).toEqual(one)
    expect(await (await server.ask('GET', '/api/v1/audit')).text()).toContain('object.conflict')
  })
})

describe('4. storage keys are never reused', () => {
  test('a repaired object rests under a new key', async () => {
    await put('repaired')
    const digest = digestOf('repaired')
    const before = await rowOf(digest)
    await corrupt(digest)
    await runJob('scrub')
    await put('repaired')
    const after = await rowOf(digest)
    expect([after?.state, after?.key === before?.key]).toEqual(['live', false])
  })
})

describe('5. a tree is present only when its closure is', () => {
  test('without a session an incomplete tree is refused and its missing entries are named', async () => {
    const child = digestOf('not yet here')
    const tree = treeOf({ a: child })
    const answer = await server.ask('PUT', `${P}/objects/${tree.digest}`, { body: tree.bytes })
    expect([answer.status, ((await answer.json()) as { data: { missing: Digest[] } }).data.missing]).toEqual([409, [child]])
    await put('not yet here')
    expect((await server.ask('PUT', `${P}/objects/${tree.digest}`, { body: tree.bytes })).status).toBe(201)
  })

  test('a tree whose entry was lost is missing to who may write, served to who reads, and whole again after the next push', async () => {
    await put('to be lost')
    await put('to be kept')
    const lost = digestOf('to be lost')
    const tree = treeOf({ lost, kept: digestOf('to be kept') })
    await server.ask('PUT', `${P}/objects/${tree.digest}`, { body: tree.bytes })
    const stock = (token: string, method = 'GET') => server.ask(method, `/dvc/demo/${objectPath(tree.digest)}`, { token })
    const writer = await server.token(['read', 'write'])
    const reader = await server.token(['read'])
    expect((await stock(writer)).status).toBe(200)
    await corrupt(lost)
    expect(await runJob('scrub')).toMatchObject({ damaged: 1 })
    expect([(await stock(writer)).status, (await stock(writer, 'HEAD')).status, (await stock(reader)).status]).toEqual([
      404, 404, 200,
    ])
    expect(await missing([tree.digest])).toEqual([tree.digest])
    await put('to be lost')
    expect((await stock(writer)).status).toBe(200)
    expect(await missing([tree.digest])).toEqual([])
  })
})

describe('6. present stays present', () => {
  test('a tree that waits in a session outlives every expiry while the session does, and goes after it', async () => {
    const tree = treeOf({ a: digestOf('comes later') })
    const sent = await server.ask('POST', `${P}/trees?digest=${tree.digest}`, { body: tree.bytes })
    const { session } = (await sent.json()) as { session: string }
    await runJob('expire-sessions')
    await put('comes later')
    const commit = await server.ask('POST', `${P}/sessions/${session}/commit`, { json: { roots: [tree.digest] } })
    expect(await commit.json()).toEqual({ linked: [tree.digest] })

    const abandoned = treeOf({ a: digestOf('never comes') })
    await server.ask('POST', `${P}/trees?digest=${abandoned.digest}`, { body: abandoned.bytes })
    expect((await rowOf(abandoned.digest))?.state).toBe('pending')
    await sql('update session set expires_at = now()')
    await runJob('expire-sessions')
    expect(await rowOf(abandoned.digest)).toBeUndefined()
    expect(await missing([tree.digest])).toEqual([])
    const late = await server.ask('POST', `${P}/sessions/${session}/commit`, { json: { roots: [tree.digest] } })
    expect(late.status).toBe(404)
  })

  test('a commit names everything that is missing, roots that were never sent among it', async () => {
    const { session } = (await (await server.ask('POST', `${P}/objects/missing`, { json: { digests: [] } })).json()) as {
      session: string
    }
    const roots = [digestOf('root one'), treeOf({ z: digestOf('z') }).digest]
    const answer = await server.ask('POST', `${P}/sessions/${session}/commit`, { json: { roots } })
    expect([answer.status, ((await answer.json()) as { data: { missing: Digest[] } }).data.missing]).toEqual([409, roots])
  })
})

describe('7. only the server deletes', () => {
  test('bytes go a day after their row, and a second run finds nothing to do', async () => {
    await put('stored twice')
    const first = await rowOf(digestOf('stored twice'))
    let orphan = ''
    onPut = (key) => {
      orphan = key
      return Promise.resolve()
    }
    expect((await put('stored twice')).status).toBe(200)
    await runJob('expire-sessions')
    expect(await server.blobStore.stat(orphan)).toBeDefined()
    await sql(`update trash set at = now() - interval '25 hours'`)
    await runJob('expire-sessions')
    expect(await server.blobStore.stat(orphan)).toBeUndefined()
    expect(await server.blobStore.stat(first?.key ?? '')).toBeDefined()
    expect(await runJob('expire-sessions')).toMatchObject({ blobs: 0 })
  })

  test('no request deletes an object', async () => {
    await put('stays')
    for (const path of [`${P}/objects/${digestOf('stays')}`, `/dvc/demo/${objectPath(digestOf('stays'))}`]) {
      expect((await server.ask('DELETE', path)).status).toBe(404)
    }
    expect(await status(digestOf('stays'))).toBe(200)
  })
})

describe('9. the bucket can rebuild the database', () => {
  test('a single names its object by its key, and a pack its members by its end', async () => {
    await put('named by its key')
    const single = await rowOf(digestOf('named by its key'))
    const md5 = md5Of(digestOf('named by its key'))
    expect(single?.key).toMatch(new RegExp(`^${await demo()}/objects/${md5.slice(0, 2)}/${md5}-0-[0-9a-f-]{36}$`))
    const members = [{ bytes: 'rebuilt one' }, { bytes: randomBytes(5000) }]
    await server.ask('POST', `${P}/packs`, { body: packOf(members) })
    const row = await rowOf(digestOf('rebuilt one'))
    const { size = 0 } = (await server.blobStore.stat(row?.key ?? '')) ?? {}
    const read = async (start: number) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of await server.blobStore.get(row?.key ?? '', { range: { start, end: size }, signal }))
        chunks.push(chunk as Uint8Array)
      return Buffer.concat(chunks)
    }
    const count = parsePackTrailer(await read(size - TRAILER_BYTES))
    const index = parsePackIndex(await read(size - TRAILER_BYTES - count * INDEX_ENTRY_BYTES))
    expect(index.map(({ digest }) => digest)).toEqual(members.map(({ bytes }) => digestOf(bytes)))
    expect(index[0]?.offset).toBe(row?.offset)
  })
})

describe('scrub', () => {
  test('damage in a pack hurts the damaged member only, and an interrupted scrub goes on where it was', async () => {
    const members = Array.from({ length: 5 }, (_, at) => ({ bytes: `scrubbed member ${at}` }))
    await server.ask('POST', `${P}/packs`, { body: packOf(members) })
    const third = digestOf('scrubbed member 2')
    const row = await rowOf(third)
    const file = `${server.blobDir}/blobs/${row?.key}`
    const { readFile } = await import('node:fs/promises')
    const bytes = await readFile(file)
    bytes[row?.offset ?? 0] = 0
    await writeFile(file, bytes)
    const done = await runJob('scrub')
    expect(done).toMatchObject({ damaged: 1 })
    expect(await missing(members.map((member) => digestOf(member.bytes)))).toEqual([third])
    const { damaged } = (await (await server.ask('GET', `${P}/damaged`)).json()) as { damaged: Array<{ digest: Digest }> }
    expect(damaged.map(({ digest }) => digest)).toContain(third)
    expect(await runJob('scrub')).toMatchObject({ damaged: 0 })
  })
})
