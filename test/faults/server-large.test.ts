import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UploadAnswer } from '@cairn/protocol/api'
import { DELTA_TYPE } from '@cairn/protocol/limits'
import type { Digest } from '@cairn/protocol/digest'
import type { BlobStore } from '../../server/src/domain/ports/blob-store.ts'
import { deltaOf } from '../rig/delta.ts'
import { ROOT } from '../rig/project.ts'
import { connectRaw } from '../rig/raw-http.ts'
import { digestOf, type ServerProcess, startServerProcess, startTestServer, type TestServer } from '../rig/server.ts'

const MIB = 1024 * 1024

describe('a server that is killed', { skip: !existsSync(path.join(ROOT, 'server/dist/cairn-server.mjs')) }, () => {
  const P = '/api/v1/projects/default'
  let server: ServerProcess
  let token: string

  beforeAll(async () => {
    server = await startServerProcess()
    token = server.adminToken ?? ''
  })
  afterAll(() => server.remove())

  const ask: ServerProcess['ask'] = (method, at, options) => server.ask(method, `${P}/${at}`, { token, ...options })
  const bytesOf = async (digest: Digest) => Buffer.from(await (await ask('GET', `objects/${digest}`)).arrayBuffer())
  const open = async (bytes: Buffer) =>
    (await (await ask('POST', 'uploads', { json: { digest: digestOf(bytes), size: bytes.length } })).json()) as UploadAnswer
  /** Sends so many bytes of a body and stays there. */
  const sendSome = (method: string, at: string, body: Buffer, count: number, type = 'application/octet-stream') => {
    const connection = connectRaw(server.url)
    const head = [`${method} ${P}/${at} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${token}`, `Content-Type: ${type}`]
    connection.write([...head, `Content-Length: ${body.length}`, '', ''].join('\r\n'))
    connection.write(body.subarray(0, count))
    connection.closed.catch(() => undefined)
    return connection
  }

  test(
    'under a delta, a large object and parts of two keeps what it acknowledged and shows nothing else',
    { timeout: 120_000 },
    async () => {
      const base = randomBytes(10 * MIB)
      expect((await ask('PUT', `objects/${digestOf(base)}`, { body: base })).status).toBe(201)
      const delta = deltaOf([base], [{ base: 0, start: 0, end: 9 * MIB }, randomBytes(3 * MIB)])
      const whole = randomBytes(12 * MIB)
      const [inParts, otherParts] = [randomBytes(20 * MIB), randomBytes(20 * MIB)]
      const [upload, other] = [await open(inParts), await open(otherParts)]
      if (upload.upload === null || other.upload === null) throw new Error('the objects are new')
      const part = (bytes: Buffer, number: number) => bytes.subarray(number * upload.partBytes, (number + 1) * upload.partBytes)
      expect((await ask('PUT', `uploads/${upload.upload}/parts/0`, { body: part(inParts, 0) })).status).toBe(200)

      const connections = [
        sendSome('POST', `deltas?digest=${delta.digest}`, delta.body, 2 * MIB, DELTA_TYPE),
        sendSome('PUT', `objects/${digestOf(whole)}`, whole, 9 * MIB),
        sendSome('PUT', `uploads/${other.upload}/parts/0`, part(otherParts, 0), 4 * MIB),
      ]
      // The drafts of both uploads, the delta, and the whole one.
      await expect.poll(() => readdirSync(path.join(server.home, 'unfinished')).length, { timeout: 30_000 }).toBe(4)
      await server.stop('SIGKILL')
      for (const connection of connections) connection.destroy()
      server = await startServerProcess({ home: server.home, adminToken: token })

      const digests = [delta.digest, digestOf(whole), digestOf(inParts), digestOf(otherParts), digestOf(base)]
      const asked = await ask('POST', 'objects/missing', { json: { digests } })
      expect(((await asked.json()) as { missing: Digest[] }).missing.toSorted()).toEqual(digests.slice(0, -1).toSorted())
      for (const digest of digests.slice(0, -1)) expect((await ask('GET', `objects/${digest}`)).status).toBe(404)
      expect(base.equals(await bytesOf(digestOf(base)))).toBe(true)
      expect(await (await ask('GET', `uploads/${upload.upload}`)).json()).toMatchObject({ received: [0] })
      expect(await (await ask('GET', `uploads/${other.upload}`)).json()).toMatchObject({ received: [] })

      const headers = { 'Content-Type': DELTA_TYPE }
      expect((await ask('POST', `deltas?digest=${delta.digest}`, { body: delta.body, headers })).status).toBe(201)
      expect((await ask('PUT', `objects/${digestOf(whole)}`, { body: whole })).status).toBe(201)
      for (const number of [1, 2])
        expect((await ask('PUT', `uploads/${upload.upload}/parts/${number}`, { body: part(inParts, number) })).status).toBe(200)
      expect((await ask('POST', `uploads/${upload.upload}/complete`)).status).toBe(201)
      for (const bytes of [delta.bytes, whole, inParts]) expect(bytes.equals(await bytesOf(digestOf(bytes)))).toBe(true)
    },
  )
})

describe('a reader that stops to read', () => {
  const SIZE = 32 * MIB
  /** What two sockets on one machine take by themselves, and more. */
  const AHEAD = 20 * MIB
  const bytes = randomBytes(SIZE)
  const digest = digestOf(bytes)
  let server: TestServer
  let read = 0
  let reading = 0

  /** Counts what is read of it, and the reads that are open. */
  const counted = (disk: BlobStore): BlobStore => ({
    ...disk,
    async get(key, options) {
      const source = await disk.get(key, options)
      reading++
      source.once('close', () => reading--)
      return Readable.from(
        (async function* () {
          for await (const chunk of source) {
            read += (chunk as Uint8Array).length
            yield chunk as Uint8Array
          }
        })(),
        { objectMode: false },
      )
    },
  })
  const start = async (bodyIdleSeconds: number) => {
    server = await startTestServer({ blobs: counted, limits: { bodyIdleSeconds } })
    expect((await server.ask('PUT', `/api/v1/projects/demo/objects/${digest}`, { body: bytes })).status).toBe(201)
    read = 0
  }
  /** Asks for the object and takes nothing of the answer. */
  const askAndStall = (): net.Socket => {
    const { hostname, port } = new URL(server.url)
    const socket = net.connect(Number(port), hostname)
    socket.on('error', () => undefined)
    const head = [`GET /api/v1/projects/demo/objects/${digest} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${server.adminToken}`]
    socket.pause().write([...head, 'Connection: close', '', ''].join('\r\n'))
    return socket
  }
  const wholeAnswer = async () =>
    Buffer.from(await (await server.ask('GET', `/api/v1/projects/demo/objects/${digest}`)).arrayBuffer())

  test('is read for no further, holds up nobody, and gets the rest when it goes on', { timeout: 120_000 }, async () => {
    await start(600)
    try {
      const socket = askAndStall()
      await expect.poll(() => read, { timeout: 30_000 }).toBeGreaterThan(0)
      for (const turn of [1, 2]) {
        expect(bytes.equals(await wholeAnswer())).toBe(true)
        expect(read - turn * SIZE).toBeLessThan(AHEAD)
      }
      await expect.poll(() => reading, { timeout: 30_000 }).toBe(1)
      const chunks: Buffer[] = []
      for await (const chunk of socket) chunks.push(chunk as Buffer)
      expect(Buffer.concat(chunks).subarray(-SIZE).equals(bytes)).toBe(true)
    } finally {
      await server.stop()
    }
  })

  test('is given up in the end, and the read with it', { timeout: 120_000 }, async () => {
    await start(1)
    try {
      const socket = askAndStall()
      await expect.poll(() => read, { timeout: 30_000 }).toBeGreaterThan(0)
      await expect.poll(() => reading, { timeout: 60_000 }).toBe(0)
      expect(read).toBeLessThan(AHEAD)
      expect((await server.ask('GET', '/livez')).status).toBe(200)
      socket.destroy()
    } finally {
      await server.stop()
    }
  })
})
