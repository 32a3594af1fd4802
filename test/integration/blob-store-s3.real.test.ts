import { randomBytes } from 'node:crypto'
import http from 'node:http'
import net from 'node:net'
import { describe, expect, test } from 'vitest'
import { s3BlobStore } from '../../server/src/adapters/blob-store/s3.ts'
import { withLimit } from '../../server/src/adapters/blob-store/with-limit.ts'
import { withRetry } from '../../server/src/adapters/blob-store/with-retry.ts'
import { blobStoreConformance, inChunks, read } from '../conformance/blob-store.ts'
import { realParts } from '../rig/real-parts.ts'

const signal = new AbortController().signal

blobStoreConformance('s3', () => ({ store: s3BlobStore(realParts().s3) }), { keepsUnfinished: true })

blobStoreConformance(
  's3 behind its wrappers',
  () => ({ store: withRetry(withLimit(s3BlobStore(realParts().s3), { reads: 8, writes: 4 })) }),
  { keepsUnfinished: true },
)

describe('s3 blob store', () => {
  test.each([
    ['the bucket is not there', { bucket: 'no-such-bucket' }, /there is no bucket 'no-such-bucket'/],
    ['the key is wrong', { secretKey: 'wrong' }, /./],
    ['nobody listens', { endpoint: 'http://127.0.0.1:1' }, /ECONNREFUSED/],
  ])('fails its check with the reason when %s', async (_, wrong, reason) => {
    const store = s3BlobStore({ ...realParts().s3, ...wrong })
    await expect(store.check(signal)).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      message: expect.stringMatching(reason) as string,
    })
  })

  test('sends a part again when the connection breaks or the server is busy', async () => {
    const real = realParts().s3
    const proxy = await faultyProxy(real.endpoint, (number) => FAULTS[number % FAULTS.length])
    try {
      const store = withRetry(s3BlobStore({ ...real, endpoint: proxy.endpoint }))
      const blob = randomBytes(50 << 20)
      const key = `faulty/packs/${Date.now()}`
      expect(await store.put(key, inChunks(blob), { signal })).toBe(blob.length)
      expect((await read(s3BlobStore(real), key)).equals(blob)).toBe(true)
      await store.delete([key])
      expect(await store.stat(key)).toBeUndefined()
      expect(proxy.faults()).toBeGreaterThan(3)
    } finally {
      proxy.close()
    }
  }, 60_000)

  test('keeps no socket of an answer that it gave up on', async () => {
    const real = realParts().s3
    const proxy = await faultyProxy(real.endpoint, (number) => (number < 20 ? 'busy' : undefined))
    try {
      const store = s3BlobStore({ ...real, endpoint: proxy.endpoint, connections: 2 })
      for (let tries = 0; tries < 20; tries++) await expect(store.stat('a')).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
      expect(await store.stat('a')).toBeUndefined()
    } finally {
      proxy.close()
    }
  })

  test('tells a full bucket from a broken one', async () => {
    const full = http.createServer((request, response) => {
      request.resume().on('end', () => {
        response.writeHead(507, { 'content-type': 'application/xml' })
        response.end('<?xml version="1.0"?><Error><Code>XMinioStorageFull</Code><Message>no space</Message></Error>')
      })
    })
    const endpoint = await listen(full)
    try {
      const store = s3BlobStore({ ...realParts().s3, endpoint })
      await expect(store.put('a', inChunks(Buffer.alloc(10)), { signal })).rejects.toMatchObject({
        code: 'STORAGE_FULL',
        status: 507,
      })
    } finally {
      full.closeAllConnections()
      full.close()
    }
  })

  test('ends a request that the server never answers when the signal aborts', async () => {
    const silent = net.createServer((socket) => socket.on('error', () => undefined))
    const endpoint = await listen(silent)
    try {
      const store = s3BlobStore({ ...realParts().s3, endpoint })
      const controller = new AbortController()
      const reason = new Error('enough')
      const getting = store.get('a', { signal: controller.signal })
      setTimeout(() => controller.abort(reason), 50)
      await expect(getting).rejects.toBe(reason)
    } finally {
      silent.close()
    }
  })
})

type Fault = 'reset' | 'busy' | undefined

const FAULTS: readonly Fault[] = [undefined, 'reset', 'busy', undefined, 'reset']

/** Passes requests on to the server, or fails them as `faultOf` says of the request with that number. */
async function faultyProxy(
  target: string,
  faultOf: (number: number) => Fault,
): Promise<{ endpoint: string; faults: () => number; close: () => void }> {
  let number = 0
  let faults = 0
  const { hostname, port, host } = new URL(target)
  const proxy = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const fault = faultOf(number++)
      if (fault) faults++
      if (fault === 'reset') request.socket.destroy()
      else if (fault === 'busy') response.writeHead(503).end('<Error><Code>SlowDown</Code><Message>later</Message></Error>')
      else {
        const { method, url, headers } = request
        const passed = http.request(
          { hostname, port, method, path: url, headers: { ...headers, host: headers.host ?? host } },
          (answer) => {
            response.writeHead(answer.statusCode ?? 500, answer.headers)
            answer.on('data', (chunk) => response.write(chunk)).on('end', () => response.end())
          },
        )
        passed.on('error', () => response.destroy())
        passed.end(Buffer.concat(chunks))
      }
    })
  })
  const endpoint = await listen(proxy)
  const close = (): void => {
    proxy.closeAllConnections()
    proxy.close()
  }
  return { endpoint, faults: () => faults, close }
}

async function listen(server: net.Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address() as net.AddressInfo
  return `http://127.0.0.1:${address.port}`
}
