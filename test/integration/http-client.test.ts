import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { CairnError } from '@cairn/protocol/error'
import { createHttpClient, type HttpClient, type HttpClientOptions } from '../../client-cli/src/remote/http-client.ts'
import { readText } from '../../client-cli/src/remote/http-exchange.ts'
import type { Wait } from '../../client-cli/src/remote/retry.ts'

const opened: Array<() => unknown> = []
afterEach(async () => {
  for (const close of opened.splice(0)) await close()
})

async function listen(handle: RequestListener): Promise<{ url: string; server: Server; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = []
  const server = createServer((req, res) => {
    seen.push(req)
    handle(req, res)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  opened.push(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, seen }
}

function client(base: string, options: Partial<HttpClientOptions> = {}): HttpClient {
  const made = createHttpClient({
    base,
    credentials: { headers: { authorization: 'Bearer secret' }, source: 'a test' },
    sockets: 4,
    ...options,
  })
  opened.push(() => made.close())
  return made
}

const never = () => new AbortController().signal
const get = (http: HttpClient, path = '/x', signal = never()) =>
  http.send({ method: 'GET', path, signal }, (answer) => readText(answer))
const ok = (res: ServerResponse, text = 'ok') => res.end(text)

describe('credentials', () => {
  test('go to their own origin, and not along with a redirect to another', async () => {
    const storage = await listen((_, res) => ok(res, 'bytes'))
    const server = await listen((_, res) => res.writeHead(307, { location: `${storage.url}/presigned?signature=1` }).end())
    expect(await get(client(server.url))).toBe('bytes')
    expect(server.seen[0]?.headers.authorization).toBe('Bearer secret')
    expect(storage.seen[0]?.headers.authorization).toBeUndefined()
  })

  test('stay with a redirect on the same origin', async () => {
    const server = await listen((req, res) => (req.url === '/x' ? res.writeHead(301, { location: '/y' }).end() : ok(res)))
    expect(await get(client(server.url))).toBe('ok')
    expect(server.seen[1]?.headers.authorization).toBe('Bearer secret')
  })

  test('are no part of an error', async () => {
    const server = await listen((_, res) => res.writeHead(403, 'Forbidden').end())
    const error = await get(client(server.url), '/x?token=also-secret').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'FORBIDDEN', message: `${server.url}/x: 403 Forbidden`, exit: 1 })
    expect(String((error as CairnError).hint)).not.toContain('secret')
  })
})

describe('what may pass', () => {
  test('is tried again: a cut connection, 503, 429', async () => {
    const faults = ['cut', 503, 429]
    const server = await listen((req, res) => {
      const fault = faults.shift()
      if (fault === undefined) ok(res)
      else if (fault === 'cut') req.socket.destroy()
      else res.writeHead(Number(fault), { 'retry-after': '0' }).end()
    })
    expect(await get(client(server.url))).toBe('ok')
    expect(server.seen).toHaveLength(4)
  })

  test('waits as long as the server wishes', async () => {
    const times: number[] = []
    const server = await listen((_, res) =>
      times.push(performance.now()) === 1 ? res.writeHead(503, { 'retry-after': '1' }).end() : ok(res),
    )
    await get(client(server.url))
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990)
  })

  test('is given up after the patience that was asked for, with the server’s words', async () => {
    const body = JSON.stringify({ code: 'STORAGE_FAILED', message: 'the bucket is gone', hint: 'Look after it.' })
    const server = await listen((_, res) => res.writeHead(503).end(body))
    await expect(get(client(server.url, { patienceSeconds: 0.3 }))).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      message: 'the bucket is gone',
      hint: 'Look after it.',
      exit: 1,
    })
    expect(server.seen.length).toBeGreaterThan(1)
  })

  test('does not run out of patience as long as other requests get through', async () => {
    let failures = 0
    const server = await listen((req, res) => {
      if (req.url === '/well' || ++failures > 6) ok(res)
      else setTimeout(() => res.writeHead(503, { 'retry-after': '0' }).end(), 100)
    })
    const http = client(server.url, { patienceSeconds: 0.3 })
    const others = setInterval(() => void get(http, '/well').catch(() => undefined), 50)
    opened.push(() => clearInterval(others))
    const waits: Wait[] = []
    http.onWait((wait) => waits.push(wait))
    // Six tries of a tenth of a second, twice what the patience allows.
    expect(await get(http)).toBe('ok')
    expect(waits).toHaveLength(6)
  })

  test('is told of while it lasts, with the pause and whether the server asked for it', async () => {
    const faults = [503, 502]
    const server = await listen((_, res) => {
      const fault = faults.shift()
      if (fault === undefined) ok(res)
      else res.writeHead(fault, fault === 503 ? { 'retry-after': '0' } : {}).end()
    })
    const http = client(server.url)
    const waits: Wait[] = []
    const forget = http.onWait((wait) => waits.push(wait))
    await get(http)
    expect(waits).toMatchObject([{ pushedBack: true, seconds: 0 }, { pushedBack: false }])
    expect(waits[1]?.reason).toContain('502')
    faults.push(503)
    forget()
    await get(http)
    expect(waits).toHaveLength(2)
  })

  test('is given up after some tries when it is the server’s own fault each time', async () => {
    const server = await listen((_, res) => res.writeHead(500).end())
    await expect(get(client(server.url))).rejects.toMatchObject({ code: 'REMOTE_FAILED' })
    expect(server.seen.length).toBeGreaterThan(2)
    expect(server.seen.length).toBeLessThan(10)
  })

  test('does not go on for ever for an answer that always breaks off', async () => {
    const server = await listen((_, res) => {
      res.writeHead(200, { 'content-length': 4 }).write('ab')
      setTimeout(() => res.destroy(), 5)
    })
    await expect(get(client(server.url, { patienceSeconds: 0.3 }))).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  test('includes a body that broke while it was read', async () => {
    let answers = 0
    const server = await listen((_, res) => {
      res.writeHead(200, { 'content-length': 4 }).write('ab')
      if (++answers === 1) setTimeout(() => res.destroy(), 10)
      else res.end('cd')
    })
    expect(await get(client(server.url))).toBe('abcd')
  })

  test('includes silence', async () => {
    let answers = 0
    const server = await listen((_, res) => {
      if (++answers > 1) ok(res)
    })
    expect(await get(client(server.url, { stallSeconds: 0.2 }))).toBe('ok')
  })
})

describe('what does not pass', () => {
  test('is not tried again', async () => {
    for (const status of [400, 403, 404, 409, 422, 507]) {
      const server = await listen((_, res) => res.writeHead(status).end())
      await expect(get(client(server.url))).rejects.toBeInstanceOf(CairnError)
      expect(server.seen).toHaveLength(1)
    }
  })

  test('an upload is never redirected', async () => {
    const server = await listen((_, res) => res.writeHead(307, { location: '/y' }).end())
    const sent = client(server.url).send({ method: 'POST', path: '/x', body: () => Buffer.from('x'), signal: never() }, () =>
      Promise.resolve(),
    )
    await expect(sent).rejects.toMatchObject({ code: 'REMOTE_FAILED', data: { status: 307 } })
    expect(server.seen).toHaveLength(1)
  })

  test('an abort ends a request, also one that waits for its next try', async () => {
    const server = await listen(() => undefined)
    const stop = new AbortController()
    const waiting = get(client(server.url), '/x', stop.signal)
    setTimeout(() => stop.abort(), 50)
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' })

    const nobody = new AbortController()
    const retrying = get(client('http://127.0.0.1:9'), '/x', nobody.signal)
    setTimeout(() => nobody.abort(), 50)
    await expect(retrying).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  test('a stranger that refuses the connection is told within seconds', async () => {
    await expect(get(client('http://127.0.0.1:9'))).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('http://127.0.0.1:9') as string,
    })
  })
})

test('an early answer stops the body', async () => {
  const server = await listen((_, res) =>
    res
      .writeHead(413, { 'content-type': 'application/json' })
      .end(JSON.stringify({ code: 'BODY_TOO_LARGE', message: 'too large' })),
  )
  let chunks = 0
  const body = () => ({
    length: 1e9,
    chunks: (async function* () {
      for (; chunks < 1000; chunks++) {
        yield Buffer.alloc(1e6)
        await new Promise((resolve) => setImmediate(resolve))
      }
    })(),
  })
  const sent = client(server.url).send({ method: 'PUT', path: '/x', body, signal: never() }, () => Promise.resolve())
  await expect(sent).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' })
  expect(chunks).toBeLessThan(100)
})

describe('a body that waits to be asked for', () => {
  const body = () => ({ length: 3, chunks: [Buffer.from('abc')] })
  const put = (http: HttpClient) =>
    http.send({ method: 'PUT', path: '/x', headers: { expect: '100-continue' }, body, signal: never() }, (answer) =>
      readText(answer),
    )

  test('stays here when the answer is a refusal', async () => {
    const { url, server } = await listen((_, res) => ok(res))
    const bytes: Buffer[] = []
    server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
      req.on('data', (chunk: Buffer) => bytes.push(chunk))
      res.writeHead(403, 'Not here').end()
    })
    await expect(put(client(url))).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(bytes).toEqual([])
  })

  test('is sent when it is asked for, and after a while to a server that does not ask', async () => {
    const echo = (req: IncomingMessage, res: ServerResponse) => void pipeline(req, res)
    const asks = await listen(echo)
    expect(await put(client(asks.url))).toBe('abc')
    const silent = await listen((_, res) => ok(res))
    silent.server.on('checkContinue', echo)
    expect(await put(client(silent.url))).toBe('abc')
  })
})

test('a body whose source fails is not sent again', async () => {
  const server = await listen((req) => req.resume())
  const body = () => ({
    length: 10,
    // oxlint-disable-next-line require-yield
    chunks: (function* (): Generator<Uint8Array> {
      throw new CairnError('CACHE_DAMAGED', 'changed')
    })(),
  })
  const sent = client(server.url).send({ method: 'PUT', path: '/x', body, signal: never() }, () => Promise.resolve())
  await expect(sent).rejects.toMatchObject({ code: 'CACHE_DAMAGED' })
})

test('the same connection serves who asks first without credentials, and then with them', async () => {
  const sockets = new Set<unknown>()
  const server = await listen((req, res) => {
    sockets.add(req.socket)
    ok(res)
  })
  const stranger = createHttpClient({ base: server.url, credentials: { headers: {}, source: '' }, sockets: 4 })
  await get(stranger)
  await get(stranger.as({ headers: { authorization: 'Bearer secret' }, source: 'a test' }))
  stranger.close()
  expect(sockets.size).toBe(1)
  expect(server.seen.map((request) => request.headers.authorization)).toEqual([undefined, 'Bearer secret'])
})

test('many requests share few connections', async () => {
  const sockets = new Set<unknown>()
  const server = await listen((req, res) => {
    sockets.add(req.socket)
    ok(res)
  })
  const http = client(server.url)
  await Promise.all(Array.from({ length: 100 }, () => get(http)))
  expect(sockets.size).toBeLessThanOrEqual(4)
  expect(http.requests).toBe(100)
})
