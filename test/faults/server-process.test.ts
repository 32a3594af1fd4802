import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { run, ROOT } from '../rig/project.ts'
import { connectRaw } from '../rig/raw-http.ts'
import { digestOf, packOf, type ServerProcess, startServerProcess, treeOf } from '../rig/server.ts'

const P = '/api/v1/projects/default'
const MIB = 1024 * 1024

/** The most memory a program has held since its start, in MiB. */
const peakMemory = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

function uploadZeros(server: ServerProcess, size: number): Promise<{ status: number; digest: Digest }> {
  const block = Buffer.alloc(MIB)
  const hash = createHash('md5')
  for (let sent = 0; sent < size; sent += MIB) hash.update(block)
  const digest = makeDigest(hash.digest('hex'))
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${server.adminToken}`, 'Content-Length': size }
    const request = http.request(`${server.url}${P}/objects/${digest}`, { method: 'PUT', headers }, (answer) => {
      answer.resume()
      resolve({ status: answer.statusCode ?? 0, digest })
    })
    request.on('error', reject)
    void (async () => {
      for (let sent = 0; sent < size; sent += MIB) {
        if (!request.write(block)) await new Promise((drained) => request.once('drain', drained))
      }
      request.end()
    })()
  })
}

describe('a server of its own', { skip: !existsSync(path.join(ROOT, 'server/dist/cairn-server.mjs')) }, () => {
  let server: ServerProcess

  beforeAll(async () => {
    server = await startServerProcess()
  })
  afterAll(() => server.remove())

  test('the first start prints a token that administers, and the lines to go on with', async () => {
    expect((await server.ask('GET', '/api/v1/whoami')).status).toBe(200)
    expect(server.output()).toContain('cairn remote add -d origin')
    expect(server.output()).toContain('cairn push')
  })

  test(
    'an object of 300 MiB streams in and out of a server that stays below 250 MiB',
    { skip: process.platform !== 'linux' },
    async () => {
      const size = 300 * MIB
      const { status, digest } = await uploadZeros(server, size)
      expect(status).toBe(201)
      let received = 0
      const answer = await server.ask('GET', `${P}/objects/${digest}`)
      for await (const chunk of answer.body ?? []) received += (chunk as Uint8Array).length
      expect(received).toBe(size)
      expect(peakMemory(server.pid)).toBeLessThan(250)
    },
  )

  test('the command line lists, makes and revokes tokens beside the running server', async () => {
    const env = { CAIRN_HOME: server.home }
    const cli = (...args: string[]) =>
      run(process.execPath, [path.join(ROOT, 'server/dist/cairn-server.mjs'), ...args], { cwd: ROOT, env })
    const made = await cli('token', 'create', '--name', 'by hand', '--scopes', 'read', '--expires', '1d', '--json')
    expect([made.code, made.stderr]).toEqual([0, ''])
    const { secret, token } = JSON.parse(made.stdout) as { secret: string; token: { id: string } }
    expect((await server.ask('GET', '/api/v1/whoami', { token: secret })).status).toBe(200)
    expect((await cli('token', 'list')).stdout).toContain('by hand')
    expect((await cli('token', 'revoke', token.id)).code).toBe(0)
    await expect
      .poll(async () => (await server.ask('GET', '/api/v1/whoami', { token: secret })).status, { timeout: 5000 })
      .toBe(401)
    const wrong = await cli('token', 'create', '--name', 'x', '--scopes', 'everything')
    expect([wrong.code, wrong.stderr]).toEqual([254, expect.stringContaining("'everything' is no scope")])
    expect((await cli('doctor')).code).toBe(0)
    expect((await cli('nonsense')).code).toBe(254)
  })

  test('a second server on the same port says who holds it', async () => {
    const port = new URL(server.url).port
    const other = net.createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const taken = (other.address() as net.AddressInfo).port
    await expect(startServerProcess({ port: taken })).rejects.toThrow(
      new RegExp(`port ${taken} on 127.0.0.1 is taken by pid ${process.pid}`),
    )
    other.close()
    expect(port).not.toBe(String(taken))
  })

  test('killed with -9 in the middle of uploads, it loses nothing it acknowledged and shows nothing it did not', async () => {
    const acknowledged: Digest[] = []
    const half = connectRaw(server.url)
    const unfinished = randomBytes(3 * MIB)
    half.write(
      [
        `PUT ${P}/objects/${digestOf(unfinished)} HTTP/1.1`,
        'Host: x',
        `Authorization: Bearer ${server.adminToken}`,
        `Content-Length: ${unfinished.length}`,
        '',
        '',
      ].join('\r\n'),
    )
    half.write(unfinished.subarray(0, 2 * MIB))
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let at = 0; ; at++) {
        const members = Array.from({ length: 20 }, (_member, index) => ({
          bytes: `killed ${writer} ${at} ${index} ${'y'.repeat(2000)}`,
        }))
        try {
          const answer = await server.ask('POST', `${P}/packs`, { body: packOf(members) })
          if (answer.status === 200) acknowledged.push(...members.map(({ bytes }) => digestOf(bytes)))
        } catch {
          return
        }
      }
    })
    const singles: Digest[] = []
    const uploaders = Array.from({ length: 8 }, async (_, uploader) => {
      for (let at = 0; ; at++) {
        const bytes = `killed alone ${uploader} ${at}`
        try {
          const answer = await server.ask('PUT', `${P}/objects/${digestOf(bytes)}`, { body: bytes })
          if (answer.status === 201) singles.push(digestOf(bytes))
        } catch {
          return
        }
      }
    })
    await expect.poll(() => Math.min(acknowledged.length / 4, singles.length), { timeout: 20_000 }).toBeGreaterThan(50)
    await server.stop('SIGKILL')
    await Promise.all([...writers, ...uploaders])
    acknowledged.push(...singles)
    half.destroy()

    const { home, adminToken } = server
    server = await startServerProcess({ home, ...(adminToken ? { adminToken } : {}) })
    server = { ...server, adminToken }
    const token = adminToken ?? ''
    expect(server.output()).not.toContain(token)
    const asked = await server.ask('POST', `${P}/objects/missing`, {
      token,
      json: { digests: [...acknowledged, digestOf(unfinished)] },
    })
    expect(((await asked.json()) as { missing: Digest[] }).missing).toEqual([digestOf(unfinished)])
    expect((await server.ask('GET', `${P}/objects/${digestOf(unfinished)}`, { token })).status).toBe(404)
    const last = acknowledged.at(-1) ?? digestOf('')
    expect((await server.ask('GET', `${P}/objects/${last}`, { token })).status).toBe(200)
    expect((await server.ask('PUT', `${P}/objects/${digestOf(unfinished)}`, { token, body: unfinished })).status).toBe(201)
    const tree = treeOf(Object.fromEntries(acknowledged.map((digest, at) => [`file ${at}`, digest])))
    expect((await server.ask('PUT', `${P}/objects/${tree.digest}`, { token, body: tree.bytes })).status).toBe(201)
  })

  test('asked to stop, it lets an upload end and then ends with 0', async () => {
    const token = server.adminToken ?? ''
    const bytes = 'finished while stopping'
    const connection = connectRaw(server.url)
    connection.write(
      [
        `PUT ${P}/objects/${digestOf(bytes)} HTTP/1.1`,
        'Host: x',
        `Authorization: Bearer ${token}`,
        `Content-Length: ${bytes.length}`,
        '',
        '',
      ].join('\r\n'),
    )
    connection.write(bytes.slice(0, 5))
    await sleep(300)
    const stopped = server.stop('SIGTERM')
    await sleep(300)
    await expect(server.ask('GET', '/livez')).rejects.toThrow()
    connection.write(bytes.slice(5))
    expect((await connection.answer()).status).toBe(201)
    expect(await stopped).toBe(0)
    server = await startServerProcess({ home: server.home, adminToken: token })
    expect((await server.ask('GET', `${P}/objects/${digestOf(bytes)}`, { token })).status).toBe(200)
  })
})
