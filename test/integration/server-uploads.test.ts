import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Digest } from '@cairn/protocol/digest'
import { expireUploads } from '../../server/src/domain/expire-uploads.ts'
import { createUploads } from '../../server/src/domain/uploads.ts'
import { connectRaw } from '../rig/raw-http.ts'
import { digestOf, startTestServer, type TestServer, treeOf } from '../rig/server.ts'
import pg from 'pg'

const P = '/api/v1/projects/demo'
const MIB = 1 << 20
const signal = new AbortController().signal
/** Three parts: 8 MiB, 8 MiB and the rest. */
const SIZE = 17 * MIB + 5
const PART = 8 * MIB

let server: TestServer
let pool: pg.Pool

beforeAll(async () => {
  server = await startTestServer()
  await server.createProject('other')
  pool = new pg.Pool(server.poolConfig)
})
afterAll(async () => {
  await pool?.end()
  await server?.stop()
})

interface Opened {
  upload: string
  partBytes: number
  received: number[]
}

const open = async (digest: Digest, size = SIZE, on = server): Promise<Opened> => {
  const answer = await on.ask('POST', `${P}/uploads`, { json: { digest, size } })
  expect(answer.status).toBe(200)
  return (await answer.json()) as Opened
}
const partOf = (blob: Buffer, number: number): Buffer => blob.subarray(number * PART, (number + 1) * PART)
const send = (upload: string, number: number, body: Uint8Array, headers: Record<string, string> = {}, on = server) =>
  on.ask('PUT', `${P}/uploads/${upload}/parts/${number}`, { body, headers })
const sendAll = async (upload: string, blob: Buffer, numbers = [0, 1, 2], on = server): Promise<void> => {
  for (const number of numbers) expect((await send(upload, number, partOf(blob, number), {}, on)).status).toBe(200)
}
const complete = (upload: string, on = server) => on.ask('POST', `${P}/uploads/${upload}/complete`)
const codeOf = async (answer: Response): Promise<[number, string]> => [
  answer.status,
  ((await answer.json()) as { code: string }).code,
]
const fetched = async (digest: Digest): Promise<string> => {
  const answer = await server.ask('GET', `${P}/objects/${digest}`)
  return createHash('md5')
    .update(Buffer.from(await answer.arrayBuffer()))
    .digest('hex')
}
const isThere = async (digest: Digest): Promise<boolean> => (await server.ask('HEAD', `${P}/objects/${digest}`)).status === 200

describe('an object in parts', () => {
  test('is there when it is complete, not before, and comes back whole', async () => {
    const blob = randomBytes(SIZE)
    const digest = digestOf(blob)
    const { upload, partBytes, received } = await open(digest)
    expect([partBytes, received]).toEqual([PART, []])
    await sendAll(upload, blob)
    expect(await isThere(digest)).toBe(false)
    const done = await complete(upload)
    expect([done.status, await done.json()]).toEqual([201, { digest, size: SIZE, outcome: 'stored' }])
    expect(await fetched(digest)).toBe(digest)
    // The answer may have been lost on its way.
    expect((await complete(upload)).status).toBe(201)
    expect(await (await server.ask('POST', `${P}/uploads`, { json: { digest, size: SIZE } })).json()).toEqual({
      upload: null,
      digest,
      size: SIZE,
    })
  })

  test('may come out of order, and part of it twice', async () => {
    const blob = randomBytes(SIZE)
    const { upload } = await open(digestOf(blob))
    await sendAll(upload, blob, [2, 0])
    const again = await send(upload, 2, partOf(blob, 2))
    expect(await again.json()).toEqual({ part: 2, outcome: 'exists' })
    const standing = await server.ask('GET', `${P}/uploads/${upload}`)
    expect(await standing.json()).toMatchObject({ upload, size: SIZE, partBytes: PART, received: [0, 2] })
    expect((await open(digestOf(blob))).upload).toBe(upload)
    await sendAll(upload, blob, [1])
    expect((await complete(upload)).status).toBe(201)
    expect(await fetched(digestOf(blob))).toBe(digestOf(blob))
  })

  test('says which parts are missing when it is completed too early, and goes on', async () => {
    const blob = randomBytes(SIZE)
    const { upload } = await open(digestOf(blob))
    await sendAll(upload, blob, [1])
    const early = await complete(upload)
    expect([early.status, await early.json()]).toMatchObject([409, { code: 'UPLOAD_INCOMPLETE', data: { missing: [0, 2] } }])
    await sendAll(upload, blob, [0, 2])
    expect((await complete(upload)).status).toBe(201)
  })

  test('may have a legacy digest', async () => {
    const blob = Buffer.alloc(SIZE, 'line\r\n')
    const digest = digestOf(Buffer.from(blob.toString('latin1').replaceAll('\r\n', '\n'), 'latin1'), { legacy: true })
    const { upload } = await open(digest)
    await sendAll(upload, blob)
    expect((await complete(upload)).status).toBe(201)
  })

  test('invariant 1: with wrong bytes it is refused, and nothing of it stays', async () => {
    for (const numbers of [
      [0, 1, 2],
      [2, 1, 0],
    ]) {
      const blob = randomBytes(SIZE)
      const digest = digestOf(randomBytes(10))
      const { upload } = await open(digest)
      await sendAll(upload, blob, numbers)
      expect(await codeOf(await complete(upload))).toEqual([422, 'DIGEST_MISMATCH'])
      expect(await isThere(digest)).toBe(false)
      expect(await codeOf(await send(upload, 0, partOf(blob, 0)))).toEqual([404, 'UPLOAD_UNKNOWN'])
      expect((await open(digest)).received).toEqual([])
    }
  })

  test('a part that broke off counts for nothing, whatever it was', async () => {
    const blob = randomBytes(SIZE)
    const { upload } = await open(digestOf(blob))
    const broken = connectRaw(server.url)
    broken.write(
      [
        `PUT ${P}/uploads/${upload}/parts/0 HTTP/1.1`,
        'Host: x',
        `Authorization: Bearer ${server.adminToken}`,
        `Content-Length: ${PART}`,
        '',
        '',
      ].join('\r\n'),
    )
    broken.write(randomBytes(3 * MIB))
    broken.destroy()
    // What is left of the first sender lets go within a moment.
    await expect.poll(async () => (await send(upload, 0, partOf(blob, 0))).status, { timeout: 15_000 }).toBe(200)
    await sendAll(upload, blob, [1, 2])
    expect((await complete(upload)).status).toBe(201)
    expect(await fetched(digestOf(blob))).toBe(digestOf(blob))
  })

  test('two clients that send the same object at once both end well, over two replicas', async () => {
    const replica = await startTestServer({ replicaOf: server })
    try {
      const blob = randomBytes(SIZE)
      const digest = digestOf(blob)
      const push = async (on: TestServer): Promise<number> => {
        const { upload } = await open(digest, SIZE, on)
        if (upload === null) return 200
        for (const number of [0, 1, 2]) {
          let status = 0
          while (status !== 200 && status !== 404) {
            status = (await send(upload, number, partOf(blob, number), {}, on)).status
            if (status === 503) await new Promise((resolve) => setTimeout(resolve, 50))
          }
        }
        for (;;) {
          const answer = await complete(upload, on)
          if (answer.status !== 202) return answer.status
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
      }
      const statuses = await Promise.all([push(server), push(replica)])
      expect(statuses).toContain(201)
      expect(statuses.every((status) => [200, 201, 404].includes(status))).toBe(true)
      expect(await fetched(digest)).toBe(digest)
    } finally {
      await replica.stop()
    }
  })

  test('parts that went to two replicas make one object', async () => {
    const replica = await startTestServer({ replicaOf: server })
    try {
      const blob = randomBytes(SIZE)
      const { upload } = await open(digestOf(blob))
      await sendAll(upload, blob, [0, 2])
      await sendAll(upload, blob, [1], replica)
      expect((await complete(upload, replica)).status).toBe(201)
      expect(await fetched(digestOf(blob))).toBe(digestOf(blob))
    } finally {
      await replica.stop()
    }
  })

  test('one that came another way meanwhile is there already', async () => {
    const blob = randomBytes(SIZE)
    const digest = digestOf(blob)
    const { upload } = await open(digest)
    await sendAll(upload, blob)
    await server.ask('PUT', `${P}/objects/${digest}`, { body: blob })
    const done = await complete(upload)
    expect([done.status, await done.json()]).toEqual([200, { digest, size: SIZE, outcome: 'exists' }])
    expect((await server.ask('GET', `${P}/uploads/${upload}`)).status).toBe(404)
  })
})

describe('what is refused', () => {
  const digest = digestOf(randomBytes(9))

  test('parts of another length, and those that there are not', async () => {
    const { upload } = await open(digest)
    const of = async (number: number | string, body: Uint8Array) =>
      (await server.ask('PUT', `${P}/uploads/${upload}/parts/${number}`, { body })).status
    expect(await of(0, Buffer.alloc(PART - 1))).toBe(400)
    expect(await of(0, Buffer.alloc(PART + 1))).toBe(400)
    expect(await of(2, Buffer.alloc(PART))).toBe(400)
    expect(await of(3, Buffer.alloc(5))).toBe(400)
    for (const number of ['-1', '1.5', 'x', '99999999']) expect(await of(number, Buffer.alloc(5))).toBe(400)
    expect((await open(digest)).received).toEqual([])
  })

  test('a part without its length that turns out to be shorter or longer', async () => {
    const { upload } = await open(digest)
    const streamed = (bytes: number) =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(Buffer.alloc(bytes))
          controller.close()
        },
      })
    const put = (bytes: number) => server.ask('PUT', `${P}/uploads/${upload}/parts/2`, { body: streamed(bytes) })
    expect(await codeOf(await put(5))).toEqual([400, 'BODY_TOO_SHORT'])
    expect((await put(SIZE - 2 * PART)).status).toBe(200)
  })

  test('a part whose Content-MD5 is another', async () => {
    const { upload } = await open(digest)
    const part = randomBytes(PART)
    const right = createHash('md5').update(part).digest('base64')
    const wrong = createHash('md5').update('x').digest('base64')
    expect(await codeOf(await send(upload, 1, part, { 'Content-MD5': wrong }))).toEqual([422, 'DIGEST_MISMATCH'])
    expect((await send(upload, 1, part, { 'Content-MD5': 'short' })).status).toBe(400)
    expect((await send(upload, 1, part, { 'Content-MD5': right })).status).toBe(200)
  })

  test('trees, sizes that are none, and more uploads than a project may have', async () => {
    const ask = (json: unknown) => server.ask('POST', `${P}/uploads`, { json })
    const tree = treeOf({ a: digestOf('a') })
    expect((await ask({ digest: tree.digest, size: 100 })).status).toBe(400)
    for (const size of [0, -1, 1.5, 'x', 2 ** 60]) expect((await ask({ digest, size })).status).toBe(400)
    expect((await ask({ digest: 'x', size: 5 })).status).toBe(400)
    expect((await ask({ digest, size: 2 ** 45 })).status).toBe(413)
    const { stores } = server.parts
    const project = await stores.catalog.createProject('crowded')
    if (!project) throw new Error('no project')
    const uploads = createUploads(stores, { objectBytes: SIZE, openUploads: 2 })
    const [first] = [
      await uploads.open(project, digestOf('1'), SIZE, signal),
      await uploads.open(project, digestOf('2'), SIZE, signal),
    ]
    await expect(uploads.open(project, digestOf('3'), SIZE, signal)).rejects.toMatchObject({ code: 'UPLOADS_FULL' })
    expect(await uploads.open(project, digestOf('1'), SIZE, signal)).toEqual(first)
    await uploads.close()
  })

  test('invariant 2: an upload of a foreign project is none', async () => {
    const { upload } = await open(digest)
    const Q = '/api/v1/projects/other'
    const body = randomBytes(5)
    const unknown = '00000000-0000-4000-8000-000000000000'
    const requests = (id: string): Array<[string, string, { body?: Uint8Array }]> => [
      ['GET', `${Q}/uploads/${id}`, {}],
      ['PUT', `${Q}/uploads/${id}/parts/2`, { body }],
      ['POST', `${Q}/uploads/${id}/complete`, {}],
      ['DELETE', `${Q}/uploads/${id}`, {}],
    ]
    for (const [at, [method, path, options]] of requests(upload).entries()) {
      const foreign = await server.ask(method, path, options)
      const [, none] = requests(unknown)[at] ?? ['', '']
      expect([foreign.status, await foreign.text()]).toEqual([404, await (await server.ask(method, none, options)).text()])
    }
    expect((await server.ask('GET', `${Q}/uploads/not-an-id`)).status).toBe(404)
    expect((await server.ask('GET', `${P}/uploads/${upload}`)).status).toBe(200)
  })

  test('anything for a token that may only read', async () => {
    const { upload } = await open(digest)
    const token = await server.token(['read'], ['demo'])
    const statuses = [
      await server.ask('POST', `${P}/uploads`, { token, json: { digest, size: SIZE } }),
      await server.ask('GET', `${P}/uploads/${upload}`, { token }),
      await server.ask('PUT', `${P}/uploads/${upload}/parts/2`, { token, body: Buffer.alloc(5) }),
      await server.ask('POST', `${P}/uploads/${upload}/complete`, { token }),
      await server.ask('DELETE', `${P}/uploads/${upload}`, { token }),
    ].map((answer) => answer.status)
    expect(statuses).toEqual([403, 403, 403, 403, 403])
  })
})

describe('the end of an upload that is not completed', () => {
  test('it can be given up', async () => {
    const digest = digestOf(randomBytes(8))
    const { upload } = await open(digest)
    await send(upload, 0, randomBytes(PART))
    expect((await server.ask('DELETE', `${P}/uploads/${upload}`)).status).toBe(204)
    expect((await server.ask('DELETE', `${P}/uploads/${upload}`)).status).toBe(404)
    expect(await open(digest)).toMatchObject({ received: [] })
  })

  test('it expires after a week without progress, and not before', async () => {
    const { stores } = server.parts
    const [old, young] = [await open(digestOf(randomBytes(8))), await open(digestOf(randomBytes(8)))]
    await send(old.upload, 0, randomBytes(PART))
    await pool.query(`update upload set progress_at = now() - interval '8 days' where id = $1`, [old.upload])
    await pool.query(`update upload set progress_at = now() - interval '6 days' where id = $1`, [young.upload])
    expect(await expireUploads(stores, signal)).toEqual({ uploads: 1 })
    expect((await server.ask('GET', `${P}/uploads/${old.upload}`)).status).toBe(404)
    expect((await server.ask('GET', `${P}/uploads/${young.upload}`)).status).toBe(200)
    await send(young.upload, 0, randomBytes(PART))
    const { rows } = await pool.query(`select progress_at > now() - interval '1 minute' as moved from upload where id = $1`, [
      young.upload,
    ])
    expect(rows).toEqual([{ moved: true }])
  })

  test('its parts are not taken for leftovers while it stands', async () => {
    const { blobs, catalog } = server.parts.stores
    const blob = randomBytes(SIZE)
    const { upload } = await open(digestOf(blob))
    await sendAll(upload, blob, [0, 1])
    await blobs.removeUnfinished(new Date(Date.now() + 3_600_000), signal, await catalog.listDrafts())
    await sendAll(upload, blob, [2])
    expect((await complete(upload)).status).toBe(201)
  })

  test('a part that its sender died over is free again', async () => {
    const { catalog } = server.parts.stores
    const blob = randomBytes(SIZE)
    const { upload } = await open(digestOf(blob))
    const dead = { uploadId: upload, number: 0, sender: '11111111-1111-4111-8111-111111111111' }
    expect(await catalog.claimPart(dead, 1)).toBe('claimed')
    expect((await send(upload, 0, partOf(blob, 0))).status).toBe(200)
    // And whatever it still says counts for nothing.
    expect(await catalog.settlePart(dead, 'forged')).toBe(false)
    await sendAll(upload, blob, [1, 2])
    expect((await complete(upload)).status).toBe(201)
  })
})
