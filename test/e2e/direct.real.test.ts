import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { s3BlobStore } from '../../server/src/adapters/blob-store/s3.ts'
import { emptyBucket, freshBackends } from '../rig/backends.ts'
import { type CountingProxy, startCountingProxy } from '../rig/counting-proxy.ts'
import { CAIRN, createWorkstation, folderDigest, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'
import { digestOf, type ServerProcess, startServerProcess } from '../rig/server.ts'

const MIB = 1 << 20
const { s3 } = realParts()
/** Questions, answers and a tree: what may pass through the server beside an object that does not. */
const FEW_BYTES = 64 * 1024

let server: ServerProcess
const started: Array<{ server: ServerProcess; env: Record<string, string> }> = []
/** What passes through the server, and what goes straight to the bucket. */
let through: CountingProxy
let straight: CountingProxy
let ada: Workstation

beforeAll(async () => {
  straight = await startCountingProxy(s3.endpoint)
  server = await startServer(straight.url)
  through = await startCountingProxy(server.url)
}, 120_000)
afterAll(async () => {
  await through.close()
  await straight.close()
  for (const { server: one, env } of started) {
    await one.remove()
    await emptyBucket(env)
  }
})
beforeEach(async () => {
  ada = await workstation(through.url)
})
afterEach(() => ada.remove())

async function startServer(publicEndpoint: string): Promise<ServerProcess> {
  const env = { ...(await freshBackends()), S3_PUBLIC_ENDPOINT: publicEndpoint }
  const one = await startServerProcess({ env })
  started.push({ server: one, env })
  return one
}

async function workstation(url: string, env: Record<string, string> = {}): Promise<Workstation> {
  const station = createWorkstation({ env: { CAIRN_TOKEN: server.adminToken ?? '', ...env } })
  station.git('init', '-q', '-b', 'main')
  await station.cairn('init')
  await station.cairn('remote', 'add', '-d', 'studio', `${url}/dvc/default`)
  through.reset()
  straight.reset()
  return station
}

/** A file of random bytes that takes no such memory. */
function writeLarge(dir: string, name: string, size: number): void {
  mkdirSync(dir, { recursive: true })
  const file = openSync(path.join(dir, name), 'w')
  for (let left = size; left > 0; left -= 64 * MIB) writeSync(file, randomBytes(Math.min(left, 64 * MIB)))
  closeSync(file)
}

/** Everything a fresh clone would have to fetch. */
function forget(station: Workstation, ...names: string[]): void {
  for (const name of ['.dvc/cache', ...names]) rmSync(path.join(station.dir, name), { recursive: true, force: true })
}

async function roundTrip(station: Workstation, size: number): Promise<{ pushed: number; pulled: number }> {
  writeLarge(path.join(station.dir, 'data'), 'large.bin', size)
  writeFileSync(path.join(station.dir, 'data/small.txt'), 'small')
  const before = folderDigest(path.join(station.dir, 'data'))
  await station.cairn('add', 'data')
  through.reset()
  straight.reset()
  await station.cairn('push', '-v')
  const pushed = straight.sent
  forget(station, 'data')
  await station.cairn('pull', '-v')
  expect(folderDigest(path.join(station.dir, 'data'))).toBe(before)
  return { pushed, pulled: straight.received }
}

test.each([
  ['64 MiB', 64 * MIB],
  ['1 GiB', 1024 * MIB],
])('an object of %s goes to the bucket and comes from there, and hardly a byte passes through the server', async (_, size) => {
  const { pushed, pulled } = await roundTrip(ada, size)
  expect(pushed).toBe(size)
  expect(pulled).toBeGreaterThanOrEqual(size)
  expect(pulled).toBeLessThan(size + FEW_BYTES)
  expect(through.sent).toBeLessThan(FEW_BYTES)
  expect(through.received).toBeLessThan(FEW_BYTES)
})

test('the bucket is never shown the token', async () => {
  const seen: http.IncomingHttpHeaders[] = []
  const watcher = http.createServer((request, response) => {
    seen.push(request.headers)
    response.writeHead(403).end()
  })
  await new Promise<void>((resolve) => watcher.listen(0, '127.0.0.1', resolve))
  const port = (watcher.address() as { port: number }).port
  // The server says where the bucket is; here its answers name the watcher.
  const liar = await answersNaming(straight.url, `http://127.0.0.1:${port}`)
  const bob = await workstation(liar.url)
  writeLarge(bob.dir, 'large.bin', 20 * MIB)
  await bob.cairn('add', 'large.bin')
  await bob.cairn('push')
  expect(seen.length).toBeGreaterThan(0)
  for (const headers of seen) {
    expect(headers.authorization).toBeUndefined()
    expect(JSON.stringify(headers)).not.toContain(server.adminToken)
  }
  expect(await isOnServer(bob)).toBe(true)
  bob.remove()
  watcher.close()
  liar.close()
})

describe('a client that cannot go straight to the bucket', () => {
  test.each([
    ['nobody listens there', undefined],
    ['another machine answers to that name', Buffer.from('a stranger')],
  ])('goes through the server, and does not try again for a while: %s', async (_, stranger) => {
    const place = await startCountingProxy(s3.endpoint)
    const other = await startServer(place.url)
    const front = await startCountingProxy(other.url)
    await place.close()
    const received: string[] = []
    const strange = http.createServer((request, response) => {
      received.push(`${request.method}`)
      response.end(stranger)
    })
    if (stranger) await new Promise<void>((resolve) => strange.listen(Number(new URL(place.url).port), '127.0.0.1', resolve))
    const bob = await workstation(front.url, { CAIRN_TOKEN: other.adminToken ?? '' })
    writeLarge(bob.dir, 'large.bin', 20 * MIB)
    const before = folderDigest(path.join(bob.dir, 'large.bin'))
    await bob.cairn('add', 'large.bin')
    await bob.cairn('push')
    expect(front.sent).toBeGreaterThan(20 * MIB)
    expect(received.filter((method) => method !== 'GET')).toEqual([])
    front.reset()
    forget(bob, 'large.bin')
    await bob.cairn('pull')
    expect(folderDigest(path.join(bob.dir, 'large.bin'))).toBe(before)
    expect(front.requests.filter((request) => request.includes('/direct/'))).toEqual([])
    bob.remove()
    await front.close()
    strange.closeAllConnections()
    strange.close()
  })

  test('is one that was told so: CAIRN_DIRECT=off', async () => {
    const bob = await workstation(through.url, { CAIRN_DIRECT: 'off' })
    await roundTrip(bob, 20 * MIB)
    expect([straight.sent, straight.received]).toEqual([0, 0])
    bob.remove()
  })

  test.each([
    // This bucket asks for the body of what it then refuses, and cuts the line: whether its answer is heard is a matter of luck.
    ['refuses an upload', '"content-md5":"', '"content-md5":"0', /not by way of the bucket|the connection was cut/],
    ['shows nothing', 'X-Amz-Signature=', 'X-Amz-Signature=0', /everything goes through the server: nobody at/],
  ])('hears why with -v when the bucket %s, and sends through the server', async (_, from, to, why) => {
    writeLarge(ada.dir, 'large.bin', 20 * MIB)
    await ada.cairn('add', 'large.bin')
    const broken = await answersNaming(from, to)
    await ada.cairn('remote', 'modify', 'studio', 'url', `${broken.url}/dvc/default`)
    const { stderr } = await ada.cairn('push', '-v')
    expect(stderr).toMatch(why)
    expect(await isOnServer(ada)).toBe(true)
    broken.close()
  })
})

test('a bucket that is lost in the midst costs a pause, and everything arrives through the server', async () => {
  const place = await startCountingProxy(s3.endpoint)
  const other = await startServer(place.url)
  const bob = await workstation(other.url, { CAIRN_TOKEN: other.adminToken ?? '' })
  for (const name of ['a', 'b', 'c']) writeLarge(path.join(bob.dir, 'data'), name, 40 * MIB)
  const before = folderDigest(path.join(bob.dir, 'data'))
  await bob.cairn('add', 'data')
  const watch = setInterval(() => {
    if (place.sent < 10 * MIB) return
    clearInterval(watch)
    void place.close()
  }, 5)
  await bob.cairn('push', '-j', '1')
  clearInterval(watch)
  forget(bob, 'data')
  await bob.cairn('pull')
  expect(folderDigest(path.join(bob.dir, 'data'))).toBe(before)
  bob.remove()
})

test('an upload that was killed is not begun anew in one piece: it goes on in parts', async () => {
  writeLarge(ada.dir, 'large.bin', 200 * MIB)
  const before = folderDigest(path.join(ada.dir, 'large.bin'))
  await ada.cairn('add', 'large.bin')
  const killed = new AbortController()
  const watch = setInterval(() => straight.sent > 20 * MIB && killed.abort(), 5)
  await run(CAIRN, ['push'], { cwd: ada.dir, env: ada.env, signal: killed.signal }).catch(() => undefined)
  clearInterval(watch)
  expect(await isOnServer(ada)).toBe(false)
  through.reset()
  await ada.cairn('push')
  expect(through.requests.some((request) => request.includes('/uploads'))).toBe(true)
  expect(through.requests.filter((request) => request.includes('/direct/'))).toEqual([])
  forget(ada, 'large.bin')
  await ada.cairn('pull')
  expect(folderDigest(path.join(ada.dir, 'large.bin'))).toBe(before)
})

test('bytes that were damaged in the bucket are noticed, and the server learns of it', async () => {
  writeLarge(ada.dir, 'large.bin', 20 * MIB)
  await ada.cairn('add', 'large.bin')
  await ada.cairn('push')
  const digest = digestOf(readFileSync(path.join(ada.dir, 'large.bin')))
  const blobs = s3BlobStore(s3)
  for await (const { key } of blobs.list('', new AbortController().signal)) {
    if (!key.includes(digest)) continue
    await blobs.put(key, damagedBytes(20 * MIB), { signal: new AbortController().signal, size: 20 * MIB })
  }
  forget(ada, 'large.bin')
  const failed = await ada.tryCairn('pull')
  expect(failed.code).not.toBe(0)
  const { damaged } = (await (await server.ask('GET', '/api/v1/projects/default/damaged')).json()) as { damaged: unknown[] }
  expect(damaged).toEqual(expect.arrayContaining([expect.objectContaining({ digest })]))
  expect(listCache(ada)).toEqual([])
})

async function* damagedBytes(size: number): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(size)
}

function listCache(station: Workstation): string[] {
  const dir = path.join(station.dir, '.dvc/cache/files/md5')
  return statSync(dir, { throwIfNoEntry: false })
    ? readdirSync(dir, { recursive: true })
        .map(String)
        .filter((name) => name.length > 3)
    : []
}

async function isOnServer(station: Workstation): Promise<boolean> {
  const digest = digestOf(readFileSync(path.join(station.dir, 'large.bin')))
  return (await server.ask('HEAD', `/api/v1/projects/default/objects/${digest}`)).status === 200
}

/** Stands before the server and changes a text in its small answers. */
async function answersNaming(from: string, to: string): Promise<{ url: string; close: () => void }> {
  const target = new URL(server.url)
  const changer = http.createServer((request, response) => {
    const { method, url, headers } = request
    const passed = http.request({ host: target.hostname, port: target.port, method, path: url, headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const body = Buffer.from(Buffer.concat(chunks).toString('latin1').replaceAll(from, to), 'latin1')
        response.writeHead(answer.statusCode ?? 502, { ...answer.headers, 'content-length': body.length })
        response.end(body)
      })
    })
    passed.on('error', () => response.destroy())
    pipeline(request, passed).catch(() => undefined)
  })
  await new Promise<void>((resolve) => changer.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(changer.address() as { port: number }).port}`,
    close: () => (changer.closeAllConnections(), changer.close()),
  }
}
