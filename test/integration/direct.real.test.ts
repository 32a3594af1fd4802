import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DirectGetAnswer, DirectPutAnswer } from '@cairn/protocol/api'
import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { s3BlobStore } from '../../server/src/adapters/blob-store/s3.ts'
import { probeDirect } from '../../server/src/adapters/blob-store/s3-probe.ts'
import { directAccess } from '../../server/src/adapters/blob-store/s3-presign.ts'
import { expire } from '../../server/src/domain/expire.ts'
import { listed, read } from '../conformance/blob-store.ts'
import { realParts } from '../rig/real-parts.ts'
import { digestOf, packOf, startTestServer, type TestServer, treeOf } from '../rig/server.ts'
import { startCarelessBucket } from '../rig/careless-bucket.ts'
import pg from 'pg'

const { s3 } = realParts()
const place = { ...s3, publicEndpoint: s3.endpoint }
const env = {
  S3_ENDPOINT: s3.endpoint,
  S3_BUCKET: s3.bucket,
  S3_REGION: s3.region,
  S3_ACCESS_KEY: s3.accessKey,
  S3_SECRET_KEY: s3.secretKey,
}
const P = '/api/v1/projects/demo'
const signal = new AbortController().signal
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const promise = (bytes: Uint8Array, digest = digestOf(bytes)) => ({ digest, size: bytes.length, sha256: sha256(bytes) })

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ env })
})
afterAll(() => server.stop())

const offer = async (...objects: Array<ReturnType<typeof promise>>): Promise<DirectPutAnswer> => {
  const answer = await server.ask('POST', `${P}/objects/direct/put`, { json: { objects } })
  expect(answer.status).toBe(200)
  return (await answer.json()) as DirectPutAnswer
}
const offerOne = async (object: ReturnType<typeof promise>) => {
  const [upload] = (await offer(object)).uploads
  if (!upload) throw new Error('no upload')
  return upload
}
const commit = (upload: { digest: Digest; upload: string }) =>
  server.ask('POST', `${P}/objects/direct/commit`, { json: { uploads: [{ digest: upload.digest, upload: upload.upload }] } })
const getUrls = (digests: readonly Digest[], options: { token?: string } = {}) =>
  server.ask('POST', `${P}/objects/direct/get`, { json: { digests }, ...options })
const isPresent = async (digest: Digest) => (await server.ask('HEAD', `${P}/objects/${digest}`)).status === 200
const putTo = ({ url, headers }: { url: string; headers: Record<string, string> }, bytes: Uint8Array) =>
  fetch(url, { method: 'PUT', headers, body: Buffer.from(bytes) })
const store = async (bytes: Uint8Array): Promise<Digest> => {
  const upload = await offerOne(promise(bytes))
  expect((await putTo(upload, bytes)).status).toBe(200)
  expect((await commit(upload)).status).toBe(200)
  return upload.digest
}

describe('a server that proved its bucket', () => {
  test('offers both ways, and a look at the bucket to whoever goes them', async () => {
    const found = await server.ask('GET', '/dvc/demo/.well-known/cairn')
    expect((await found.json()) as unknown).toMatchObject({ capabilities: expect.arrayContaining(['direct-get', 'direct-put']) })
    const { check } = await offer(promise(randomBytes(10)))
    expect(sha256(new Uint8Array(await (await fetch(check.url)).arrayBuffer()))).toBe(check.sha256)
  })

  test('links what came straight to the bucket, byte for byte', async () => {
    const bytes = randomBytes(300_000)
    const upload = await offerOne(promise(bytes))
    expect(await isPresent(upload.digest)).toBe(false)
    expect((await putTo(upload, bytes)).status).toBe(200)
    expect(await isPresent(upload.digest)).toBe(false)
    const answer = await commit(upload)
    expect(await answer.json()).toEqual({ objects: [{ digest: upload.digest, size: 300_000, outcome: 'stored' }] })
    const got = await server.ask('GET', `${P}/objects/${upload.digest}`)
    expect(bytes.equals(new Uint8Array(await got.arrayBuffer()))).toBe(true)
    expect((await offer(promise(bytes))).uploads).toEqual([])
  })

  test.each([
    ['other bytes of the same length', (bytes: Buffer) => randomBytes(bytes.length), 400],
    ['more bytes', (bytes: Buffer) => Buffer.concat([bytes, bytes]), 403],
    ['fewer bytes', (bytes: Buffer) => bytes.subarray(1), 403],
  ])('invariant 1: the bucket itself refuses %s, and nothing is linked', async (_, change, status) => {
    const bytes = randomBytes(1000)
    const upload = await offerOne(promise(bytes))
    expect((await putTo(upload, change(bytes))).status).toBe(status)
    expect(await (await commit(upload)).json()).toMatchObject({ code: 'UPLOAD_INCOMPLETE' })
    expect(await isPresent(upload.digest)).toBe(false)
  })

  test('invariant 3: a sha256 that does not belong to the bytes is refused by the bucket', async () => {
    const bytes = randomBytes(1000)
    const upload = await offerOne({ ...promise(bytes), sha256: sha256(randomBytes(1)) })
    expect((await putTo(upload, bytes)).status).toBe(400)
    expect((await commit(upload)).status).toBe(409)
  })

  test('headers that a URL was signed with can be neither changed nor left out', async () => {
    const bytes = randomBytes(1000)
    const others = randomBytes(1000)
    const { url, headers } = await offerOne(promise(bytes))
    const forged = {
      'content-md5': createHash('md5').update(others).digest('base64'),
      'x-amz-checksum-sha256': createHash('sha256').update(others).digest('base64'),
    }
    expect((await putTo({ url, headers: forged }, others)).status).toBe(403)
    expect((await putTo({ url, headers: {} }, others)).status).toBe(403)
    expect(
      (await putTo({ url, headers: { 'x-amz-checksum-sha256': headers['x-amz-checksum-sha256'] ?? '' } }, bytes)).status,
    ).toBe(403)
  })

  test('invariant 4: a URL that is used again after the commit stores the same bytes and no others', async () => {
    const bytes = randomBytes(1000)
    const upload = await offerOne(promise(bytes))
    await putTo(upload, bytes)
    await commit(upload)
    expect((await putTo(upload, randomBytes(1000))).status).toBe(400)
    expect((await putTo(upload, bytes)).status).toBe(200)
    const got = await server.ask('GET', `${P}/objects/${upload.digest}`)
    expect(bytes.equals(new Uint8Array(await got.arrayBuffer()))).toBe(true)
  })

  test('each upload of the same object has a key of its own; the second that is committed is told that it exists', async () => {
    const bytes = randomBytes(1000)
    const [first, second] = [await offerOne(promise(bytes)), await offerOne(promise(bytes))]
    expect(new URL(first.url).pathname).not.toBe(new URL(second.url).pathname)
    await Promise.all([putTo(first, bytes), putTo(second, bytes)])
    expect(await (await commit(first)).json()).toMatchObject({ objects: [{ outcome: 'stored' }] })
    expect(await (await commit(second)).json()).toMatchObject({ objects: [{ outcome: 'exists' }] })
  })

  test('a commit can be repeated, also at the same moment', async () => {
    const bytes = randomBytes(1000)
    const upload = await offerOne(promise(bytes))
    await putTo(upload, bytes)
    const answers = await Promise.all([commit(upload), commit(upload), commit(upload)])
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200])
    expect((await commit(upload)).status).toBe(200)
  })

  test('a URL that has expired opens nothing', async () => {
    const late = directAccess(place, () => new Date(Date.now() - 16 * 60_000))
    const bytes = randomBytes(10)
    const bound = {
      md5: createHash('md5').update(bytes).digest(),
      sha256: createHash('sha256').update(bytes).digest(),
      size: 10,
      expires: 15 * 60,
    }
    expect((await putTo(late.put('probe/late', bound), bytes)).status).toBe(403)
    expect(Number(new URL((await offerOne(promise(bytes))).url).searchParams.get('X-Amz-Expires'))).toBeLessThanOrEqual(900)
  })

  test('a tree, an object beyond the limit and a token without the scope get no URL', async () => {
    const ask = (object: object, options = {}) =>
      server.ask('POST', `${P}/objects/direct/put`, { json: { objects: [object] }, ...options })
    const tree = treeOf({ a: digestOf('a') })
    expect(await (await ask(promise(tree.bytes, tree.digest))).json()).toMatchObject({ code: 'BAD_REQUEST' })
    expect((await ask({ ...promise(randomBytes(1)), size: 5 * 1024 ** 3 + 1 })).status).toBe(413)
    expect((await ask({ ...promise(randomBytes(1)), sha256: 'X'.repeat(64) })).status).toBe(400)
    expect((await ask(promise(randomBytes(1)), { token: await server.token(['read']) })).status).toBe(403)
    expect((await ask(promise(randomBytes(1)), { token: null })).status).toBe(401)
  })

  test('a session that is named lives on, and one of another project is unknown', async () => {
    await server.createProject('neighbour')
    const asked = await server.ask('POST', '/api/v1/projects/neighbour/objects/missing', { json: { digests: [] } })
    const { session } = (await asked.json()) as { session: string }
    const object = promise(randomBytes(1))
    const at = (project: string) =>
      server.ask('POST', `/api/v1/projects/${project}/objects/direct/put?session=${session}`, { json: { objects: [object] } })
    expect((await at('neighbour')).status).toBe(200)
    expect(await (await at('demo')).json()).toMatchObject({ code: 'SESSION_UNKNOWN' })
  })
})

describe('reading straight from the bucket', () => {
  test('a single object has a URL that gives it whole and in ranges', async () => {
    const bytes = randomBytes(100_000)
    const digest = await store(bytes)
    const answer = (await (await getUrls([digest])).json()) as DirectGetAnswer
    const [object] = answer.objects
    expect(object).toMatchObject({ digest, size: 100_000 })
    const whole = await fetch(object?.url ?? '')
    expect(bytes.equals(new Uint8Array(await whole.arrayBuffer()))).toBe(true)
    const range = await fetch(object?.url ?? '', { headers: { range: 'bytes=99000-99999' } })
    expect(range.status).toBe(206)
    expect(bytes.subarray(99_000).equals(new Uint8Array(await range.arrayBuffer()))).toBe(true)
  })

  test('members of a pack have none: it would show their neighbours', async () => {
    const members = [randomBytes(50), randomBytes(60)].map((bytes) => ({ bytes }))
    await server.ask('POST', `${P}/packs`, { body: packOf(members) })
    const answer = (await (await getUrls(members.map(({ bytes }) => digestOf(bytes)))).json()) as DirectGetAnswer
    expect(answer.objects.map((object) => object.url)).toEqual([undefined, undefined])
  })

  test('invariant 2: an object of another project is unknown, for reading and for a commit', async () => {
    await server.createProject('foreign')
    const bytes = randomBytes(1000)
    const digest = await store(bytes)
    const ask = (path: string, json: unknown) => server.ask('POST', `/api/v1/projects/foreign/objects/direct/${path}`, { json })
    const unknown = makeDigest(randomBytes(16).toString('hex'))
    const answers = await Promise.all([digest, unknown].map((one) => ask('get', { digests: [one] })))
    expect(answers.map((answer) => answer.status)).toEqual([404, 404])
    expect(await answers[0]?.json()).toMatchObject({ code: 'OBJECT_UNKNOWN' })
    const upload = await offerOne(promise(randomBytes(999)))
    expect(await (await ask('commit', { uploads: [{ digest: upload.digest, upload: upload.upload }] })).json()).toMatchObject({
      code: 'UPLOAD_UNKNOWN',
    })
    expect((await getUrls([digest], { token: await server.token(['read'], ['foreign']) })).status).toBe(404)
  })
})

describe('what nobody commits', () => {
  test('is found by its age and removed, and what was linked stays', async () => {
    const kept = randomBytes(1000)
    const digest = await store(kept)
    await age(server.poolConfig)
    await expire(server.parts.stores, signal)
    const bytes = randomBytes(1000)
    const upload = await offerOne(promise(bytes))
    await putTo(upload, bytes)
    const key = new URL(upload.url).pathname.slice(s3.bucket.length + 2)
    const blobs = s3BlobStore(place)
    expect(await blobs.stat(key)).toBeDefined()
    await age(server.poolConfig)
    expect(await expire(server.parts.stores, signal)).toMatchObject({ abandoned: 1 })
    await age(server.poolConfig)
    expect(await expire(server.parts.stores, signal)).toMatchObject({ abandoned: 0 })
    expect(await blobs.stat(key)).toBeUndefined()
    expect(await (await commit(upload)).json()).toMatchObject({ code: 'UPLOAD_UNKNOWN' })
    expect(await isPresent(digest)).toBe(true)
  })

  /** As if everything that waits had waited for three days. */
  async function age(config: pg.PoolConfig): Promise<void> {
    const client = new pg.Client(config)
    await client.connect()
    await client.query("update direct_upload set created_at = created_at - interval '3 days'")
    await client.query("update trash set at = at - interval '3 days'")
    await client.end()
  }
})

describe('the probe', () => {
  test('proves both ways on a real bucket and leaves nothing there', async () => {
    const blobs = s3BlobStore(place)
    const before = (await listed(blobs, 'probe/')).map((blob) => blob.key).filter((key) => !key.includes('challenge'))
    expect(await probeDirect(place, blobs, signal)).toEqual({ put: undefined, get: undefined })
    const after = (await listed(blobs, 'probe/')).map((blob) => blob.key)
    expect(after.filter((key) => !key.includes('challenge') && !before.includes(key))).toEqual([])
  })

  test.each([
    ['takes bytes with another md5', { ignores: ['content-md5'] }, 'it takes bytes with another md5', undefined],
    ['takes bytes with another sha256', { ignores: ['x-amz-checksum-sha256'] }, 'it takes bytes with another sha256', undefined],
    ['looks at no signature', { unsigned: true }, /it takes/, /it takes a URL that has expired/],
    ['gives no ranges', { rangeless: true }, undefined, /a GET of a range fails/],
    ['knows no such headers', { status: 501 }, /it refuses a signed PUT: 501/, /it refuses a signed PUT: 501/],
  ] as const)('offers no way that stands on what the bucket does not do: one that %s', async (_, careless, put, get) => {
    const bucket = await startCarelessBucket(place, careless)
    try {
      const proof = await probeDirect({ ...place, publicEndpoint: bucket.url }, s3BlobStore(place), signal)
      if (put === undefined) expect(proof.put).toBeUndefined()
      else expect(proof.put).toMatch(put)
      if (get === undefined) expect(proof.get).toBeUndefined()
      else expect(proof.get).toMatch(get)
    } finally {
      await bucket.close()
    }
  })

  test('a bucket that is down, or answers slowly, delays no start and fails none', async () => {
    const silent = http.createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const port = (silent.address() as { port: number }).port
    for (const endpoint of ['http://127.0.0.1:1', `http://127.0.0.1:${port}`]) {
      const begin = performance.now()
      const late = await startTestServer({ env: { ...env, S3_PUBLIC_ENDPOINT: endpoint } })
      expect(performance.now() - begin).toBeLessThan(15_000)
      const found = (await (await late.ask('GET', '/dvc/demo/.well-known/cairn')).json()) as { capabilities: string[] }
      expect(found.capabilities.filter((name) => name.startsWith('direct'))).toEqual([])
      const bytes = randomBytes(10)
      expect((await late.ask('POST', `${P}/objects/direct/put`, { json: { objects: [promise(bytes)] } })).status).toBe(404)
      expect((await late.ask('PUT', `${P}/objects/${digestOf(bytes)}`, { body: bytes })).status).toBe(201)
      await late.stop()
    }
    silent.closeAllConnections()
    silent.close()
  })

  test('CAIRN_DIRECT=off keeps everything on the way through the server', async () => {
    const closed = await startTestServer({ env: { ...env, CAIRN_DIRECT: 'off' } })
    const found = (await (await closed.ask('GET', '/dvc/demo/.well-known/cairn')).json()) as { capabilities: string[] }
    expect(found.capabilities.filter((name) => name.startsWith('direct'))).toEqual([])
    expect((await closed.ask('POST', `${P}/objects/direct/get`, { json: { digests: [digestOf('a')] } })).status).toBe(404)
    await closed.stop()
  })
})

test('a blob that came directly is the blob that any other way would have stored', async () => {
  const bytes = randomBytes(5000)
  const digest = await store(bytes)
  const [row] = await server.parts.stores.catalog.findObjects((await server.parts.stores.catalog.findProject('demo'))?.id ?? 0, [
    digest,
  ])
  expect(row).toMatchObject({ size: 5000, offset: 0, state: 'live' })
  expect(Buffer.from(row?.sha256 ?? []).toString('hex')).toBe(sha256(bytes))
  expect((await read(s3BlobStore(place), row?.key ?? '')).equals(bytes)).toBe(true)
})
