import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { remoteInfo } from '@cairn/protocol/api'
import { type Digest, objectPath } from '@cairn/protocol/digest'
import type { BlobStore } from '../../server/src/domain/ports/blob-store.ts'
import { connectRaw } from '../rig/raw-http.ts'
import { digestOf, startTestServer, type TestServer, treeOf } from '../rig/server.ts'

let server: TestServer
let reads = 0

beforeAll(async () => {
  const counted = (disk: BlobStore): BlobStore => ({
    ...disk,
    get(key, options) {
      reads++
      return disk.get(key, options)
    },
  })
  server = await startTestServer({ blobs: counted })
})
afterAll(() => server.stop())

const at = (digest: Digest) => `/dvc/demo/${objectPath(digest)}`
const ask = (method: string, digest: Digest, body?: string | Uint8Array) =>
  server.ask(method, at(digest), body === undefined ? {} : { body })
const head = (method: string, path: string, ...lines: string[]) =>
  [`${method} ${path} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${server.adminToken}`, ...lines, '', ''].join('\r\n')

/** As a stock client uploads: in chunks, without a length. */
async function upload(digest: Digest, bytes: Uint8Array | string, method = 'POST') {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from(bytes))
      controller.close()
    },
  })
  return server.ask(method, at(digest), { body })
}

describe('what a stock client asks', () => {
  test('a push and a pull of a folder: probes, files, tree, and all of it back', async () => {
    const files = { 'a.txt': 'file a', 'b/c.bin': 'file c' }
    const tree = treeOf({ 'a.txt': digestOf(files['a.txt']), 'b/c.bin': digestOf(files['b/c.bin']) })
    expect((await ask('GET', tree.digest)).status).toBe(404)
    expect((await upload(tree.digest, tree.bytes)).status).toBe(409)
    for (const text of Object.values(files)) {
      const stored = await upload(digestOf(text), text)
      expect([stored.status, stored.headers.get('content-length')]).toEqual([201, '0'])
    }
    expect((await upload(tree.digest, tree.bytes, 'PUT')).status).toBe(201)
    const probe = await ask('HEAD', tree.digest)
    expect([probe.status, probe.headers.get('content-length'), probe.headers.get('accept-ranges')]).toEqual([
      200,
      String(tree.bytes.length),
      'bytes',
    ])
    const ranged = await server.ask('GET', at(tree.digest), { headers: { Range: `bytes=0-${tree.bytes.length - 1}` } })
    expect([ranged.status, await ranged.text()]).toEqual([206, Buffer.from(tree.bytes).toString()])
    for (const text of Object.values(files)) expect(await (await ask('GET', digestOf(text))).text()).toBe(text)
  })

  test('a legacy object has the old path, and the name of its text with LF line ends', async () => {
    const digest = digestOf('x\ny\n', { legacy: true })
    expect(at(digest)).not.toContain('files/md5')
    expect((await upload(digest, 'x\r\ny\r\n')).status).toBe(201)
    expect(await (await ask('GET', digest)).text()).toBe('x\r\ny\r\n')
    expect((await ask('GET', digestOf('x\ny\n'))).status).toBe(404)
  })

  test('an upload of an empty file is stored, and an empty body under another name is not', async () => {
    expect((await upload(digestOf(''), '')).status).toBe(201)
    const hollow = await upload(digestOf('a redirected upload'), '')
    expect([hollow.status, hollow.statusText]).toEqual([
      422,
      expect.stringContaining('0 bytes received hash to d41d8cd98f00b204e9800998ecf8427e'),
    ])
  })

  test('the reason phrase says what is wrong, because nothing else is shown', async () => {
    const tree = treeOf({ a: digestOf('absent child') })
    const answer = await upload(tree.digest, tree.bytes)
    expect(answer.statusText).toContain(digestOf('absent child'))
    const token = await server.token(['read'])
    expect((await server.ask('POST', at(digestOf('q')), { token, body: 'q' })).statusText).toContain("lacks the scope 'write'")
  })

  test('no answer is a redirect, and no odd path answers with success', async () => {
    const paths = [
      '/dvc/demo/runs/ab/cd',
      '/dvc/demo/files/md5/ab',
      '/dvc/demo/files/md5/AB/CDEF',
      '/dvc/demo/files/sha256/ab/cd',
      `${at(digestOf('q'))}/`,
      `${at(digestOf('q'))}.tmp`,
    ]
    for (const path of paths) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT']) {
        const answer = await server.ask(method, path, method === 'POST' || method === 'PUT' ? { body: 'q' } : {})
        expect([method, path, answer.status]).toEqual([method, path, 404])
      }
    }
  })

  test('a known upload is answered before its body', async () => {
    await upload(digestOf('already here'), 'already here')
    const connection = connectRaw(server.url)
    connection.write(head('POST', at(digestOf('already here')), 'Transfer-Encoding: chunked'))
    expect((await connection.answer()).status).toBe(200)
    connection.destroy()
  })
})

describe('probes', () => {
  test('a large object is not read for a client that only wants to know', async () => {
    const bytes = randomBytes(2_000_000)
    await upload(digestOf(bytes), bytes)
    reads = 0
    for (let count = 0; count < 5; count++) {
      const connection = connectRaw(server.url)
      connection.write(head('GET', at(digestOf(bytes))))
      while (!connection.received().includes('\r\n\r\n')) await new Promise((resolve) => setTimeout(resolve, 1))
      expect(connection.received().toString('latin1')).toContain('HTTP/1.1 200')
      connection.destroy()
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(reads).toBeLessThan(5)
    expect(bytes.equals(new Uint8Array(await (await ask('GET', digestOf(bytes))).arrayBuffer()))).toBe(true)
  })

  test('small objects and trees are read from the store once', async () => {
    const small = randomBytes(60_000)
    await upload(digestOf(small), small)
    reads = 0
    for (let count = 0; count < 4; count++)
      expect((await (await ask('GET', digestOf(small))).arrayBuffer()).byteLength).toBe(60_000)
    expect(reads).toBe(1)
  })

  test('a small object comes with its head on a connection that stays', async () => {
    await upload(digestOf('keep-alive'), 'keep-alive')
    const connection = connectRaw(server.url)
    for (let count = 0; count < 3; count++) {
      connection.write(head('GET', at(digestOf('keep-alive'))))
      expect((await connection.answer()).body).toBe('keep-alive')
      connection.write(head('GET', at(digestOf('not there'))))
      expect((await connection.answer()).status).toBe(404)
    }
    connection.destroy()
  })
})

test('a client learns from the remote URL, without a token, that it is a Cairn server', async () => {
  const answer = await server.ask('GET', '/dvc/demo/.well-known/cairn', { token: null })
  expect(remoteInfo.parse(await answer.json())).toMatchObject({
    server: 'cairn',
    api: 1,
    project: 'demo',
    base: '/api/v1/projects/demo',
  })
  const nowhere = await server.ask('GET', '/dvc/nosuch/.well-known/cairn', { token: null })
  expect(nowhere.status).toBe(200)
})

describe('when the server is full', () => {
  test('a native client is told to come back, a stock one waits its turn', async () => {
    const full = await startTestServer({ limits: { requestsInFlight: 1 } })
    try {
      const slow = connectRaw(full.url)
      const bytes = 'takes its time'
      const path = `/api/v1/projects/demo/objects/${digestOf(bytes)}`
      slow.write(
        [
          `PUT ${path} HTTP/1.1`,
          'Host: x',
          `Authorization: Bearer ${full.adminToken}`,
          `Content-Length: ${bytes.length}`,
          '',
          '',
        ].join('\r\n'),
      )
      slow.write(bytes.slice(0, 5))
      await expect
        .poll(async () => (await (await full.ask('GET', '/metrics')).text()).includes('cairn_bodies_in_flight 1'))
        .toBe(true)
      const native = await full.ask('PUT', `/api/v1/projects/demo/objects/${digestOf('n')}`, { body: 'n' })
      expect([native.status, native.headers.get('retry-after')]).toEqual([503, '3'])
      let answered = false
      const stock = full.ask('POST', `/dvc/demo/${objectPath(digestOf('s'))}`, { body: 's' }).finally(() => (answered = true))
      await new Promise((resolve) => setTimeout(resolve, 150))
      expect(answered).toBe(false)
      slow.write(bytes.slice(5))
      expect((await slow.answer()).status).toBe(201)
      expect((await stock).status).toBe(201)
      slow.destroy()
    } finally {
      await full.stop()
    }
  })
})
