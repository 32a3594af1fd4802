import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { Span } from '../../client-cli/src/cache/byte-spans.ts'
import { createHttpClient, type HttpClient, type HttpClientOptions } from '../../client-cli/src/remote/http-client.ts'
import { randomBlock, seeded } from '../rig/images.ts'
import { CERTIFICATE, startTlsProxy } from '../rig/tls-proxy.ts'

const OBJECT = randomBlock(seeded(31), 3_000_000)
const part = ({ start, end }: Span) => OBJECT.subarray(start, end)
const SPAN: Span = { start: 1_000_000, end: 2_000_000 }

const opened: Array<() => unknown> = []
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

async function listen(handle: RequestListener) {
  const seen: Array<{ range: string | undefined; port: number | undefined; authorization: string | undefined }> = []
  const server = createServer((req, res) => {
    const { range, authorization } = req.headers
    seen.push({ range, authorization, port: req.socket.remotePort })
    handle(req, res)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  opened.push(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

const client = (base: string, options: Partial<HttpClientOptions> = {}): HttpClient => {
  const credentials = { headers: { authorization: 'Bearer secret' }, source: 'a test' }
  const made = createHttpClient({ base, credentials, sockets: 4, ...options })
  opened.push(() => made.close())
  return made
}

async function read(http: HttpClient, { span = SPAN, signal = new AbortController().signal } = {}) {
  const chunks: Buffer[] = []
  const sizes: number[] = []
  const reader = {
    begin: (size: number) => void sizes.push(size),
    add: (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes)),
  }
  const whole = await http.readRange({ path: '/object?part=1', span, signal }, reader)
  return { whole, sizes, bytes: Buffer.concat(chunks), is: (span: Span) => Buffer.concat(chunks).equals(part(span)) }
}

const sendRange: RequestListener = (req, res) => {
  const [start, last] = (/^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '') ?? []).slice(1).map(Number) as [number, number]
  const part = OBJECT.subarray(start, last + 1)
  const range = `bytes ${start}-${start + part.length - 1}/${OBJECT.length}`
  res.writeHead(206, { 'content-range': range, 'content-length': part.length }).end(part)
}

test('ranges come one after the other over one connection, with the credentials', async () => {
  const server = await listen(sendRange)
  const http = client(server.url)
  const first = await read(http)
  expect([first.whole, first.sizes, first.is(SPAN)]).toEqual([true, [OBJECT.length], true])
  // A range that goes beyond the end is what there is.
  const rest = await read(http, { span: { start: 2_500_000, end: 9_000_000 } })
  expect([rest.whole, rest.sizes, rest.is({ start: 2_500_000, end: OBJECT.length })]).toEqual([true, [OBJECT.length], true])
  expect(server.seen.map(({ range }) => range)).toEqual(['bytes=1000000-1999999', 'bytes=2500000-8999999'])
  expect(new Set(server.seen.map(({ port }) => port)).size).toBe(1)
  expect(server.seen[0]?.authorization).toBe('Bearer secret')
})

test('ranges come at the same time over several connections', async () => {
  const server = await listen(sendRange)
  const http = client(server.url)
  const spans = [0, 1, 2].map((index) => ({ start: index * 1_000_000, end: (index + 1) * 1_000_000 }))
  const parts = await Promise.all(spans.map((span) => read(http, { span })))
  expect(Buffer.concat(parts.map(({ bytes }) => bytes)).equals(OBJECT)).toBe(true)
})

test('and over TLS, where the certificate is named; where it is not, nothing comes', async () => {
  const proxy = await startTlsProxy((await listen(sendRange)).url)
  opened.push(() => proxy.stop())
  const trusting = await read(client(proxy.url, { tls: { ca: CERTIFICATE } }))
  expect([trusting.whole, trusting.is(SPAN)]).toEqual([true, true])
  expect(await read(client(proxy.url))).toMatchObject({ whole: false, sizes: [], bytes: Buffer.alloc(0) })
})

const RANGE = { 'content-range': 'bytes 1000000-1000003/3000000' }
test.each<[string, RequestListener]>([
  ['the whole', (_, res) => res.writeHead(200, { 'content-length': 4 }).end('abcd')],
  ['a refusal', (_, res) => res.writeHead(404, { ...RANGE, 'content-length': 4 }).end('abcd')],
  ['a redirect', (_, res) => res.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()],
  ['another range', (_, res) => res.writeHead(206, { 'content-range': 'bytes 0-3/3000000', 'content-length': 4 }).end('abcd')],
  ['a range without its place', (_, res) => res.writeHead(206, { 'content-length': 4 }).end('abcd')],
  ['another length', (_, res) => res.writeHead(206, { ...RANGE, 'content-length': 5 }).end('abcde')],
  ['chunks', (_, res) => res.writeHead(206, { ...RANGE, 'transfer-encoding': 'chunked' }).end('abcd')],
  ['other bytes', (_, res) => res.writeHead(206, { ...RANGE, 'content-length': 4, 'content-encoding': 'gzip' }).end('abcd')],
  ['more than was asked for', (_, res) => res.writeHead(206, { 'content-range': 'bytes 1000000-2000000/3000000' }).end()],
  [
    'two lengths',
    (req) =>
      req.socket.end(
        `HTTP/1.1 206 OK\r\ncontent-range: ${RANGE['content-range']}\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcd`,
      ),
  ],
  ['no HTTP', (req) => req.socket.end('SSH-2.0-OpenSSH_9.6\r\n\r\n')],
  ['a head without an end', (req) => req.socket.end('x'.repeat(100_000))],
  ['nothing', (req) => req.socket.destroy()],
])('a server that answers with %s is asked in another way, and nothing was read', async (_, handle) => {
  const server = await listen(handle)
  expect(await read(client(server.url))).toMatchObject({ whole: false, sizes: [], bytes: Buffer.alloc(0) })
})

test('a server that sends more than it said loses the line, and none of it counts', async () => {
  const head = 'HTTP/1.1 206 OK\r\ncontent-range: bytes 1000000-1000003/3000000\r\ncontent-length: 4\r\n\r\n'
  const server = await listen((req) => req.socket.write(`${head}abcdefgh`))
  expect(await read(client(server.url))).toMatchObject({ whole: false, sizes: [3_000_000], bytes: Buffer.alloc(0) })
})

test('what came before a line broke has been read, and the next range takes a new line', async () => {
  let cut = true
  const server = await listen((req, res) => {
    if (!cut) return sendRange(req, res)
    cut = false
    res.writeHead(206, { 'content-range': 'bytes 1000000-1999999/3000000', 'content-length': 1_000_000 })
    res.write(OBJECT.subarray(1_000_000, 1_000_100), () => req.socket.destroy())
  })
  const http = client(server.url)
  const broken = await read(http)
  expect([broken.whole, broken.is({ start: 1_000_000, end: 1_000_100 })]).toEqual([false, true])
  expect((await read(http)).whole).toBe(true)
})

test('a line that the server closes after its answer is not used again', async () => {
  const server = await listen((req, res) => {
    res.setHeader('connection', 'close')
    sendRange(req, res)
  })
  const http = client(server.url)
  expect((await read(http)).whole).toBe(true)
  expect((await read(http)).whole).toBe(true)
  expect(new Set(server.seen.map(({ port }) => port)).size).toBe(2)
})

test('what the reader throws is what the read throws', async () => {
  const http = client((await listen(sendRange)).url)
  const full = new Error('the disk is full')
  const refuse = () => {
    throw full
  }
  const { signal } = new AbortController()
  await expect(http.readRange({ path: '/', span: SPAN, signal }, { begin: refuse, add: refuse })).rejects.toBe(full)
  await expect(http.readRange({ path: '/', span: SPAN, signal }, { begin: () => undefined, add: refuse })).rejects.toBe(full)
})

test('an interruption ends it, also when nothing comes', async () => {
  const stop = new AbortController()
  const server = await listen(() => stop.abort())
  expect((await read(client(server.url), { signal: stop.signal })).whole).toBe(false)
})

test('behind a proxy, and for a header that would end the head, there are no lines', async () => {
  const server = await listen(sendRange)
  expect((await read(client(server.url, { env: { http_proxy: 'http://127.0.0.1:1' } }))).whole).toBe(false)
  const headers = { 'x-token': 'a\r\nx: y' }
  expect((await read(client(server.url, { credentials: { headers, source: 'a test' } }))).whole).toBe(false)
  expect(server.seen).toEqual([])
})
