import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { startDelayProxy } from './delay-proxy.ts'

const ends: Array<() => Promise<unknown> | void> = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

async function startEcho(latencyMs: number) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('data', (bytes: Buffer) => socket.write(bytes))
    socket.on('end', () => socket.end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => void server.close())
  const proxy = await startDelayProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { latencyMs })
  ends.push(() => proxy.close())
  const open = (): Socket => {
    const socket = connect({ port: Number(new URL(proxy.url).port), host: '127.0.0.1' })
    ends.push(() => void socket.destroy())
    return socket
  }
  return { proxy, open }
}

async function echo(socket: Socket, text: string): Promise<number> {
  const start = performance.now()
  socket.write(text)
  await once(socket, 'data')
  return performance.now() - start
}

test('a line delays both ways, and a new connection once more for its handshake', async () => {
  const { open } = await startEcho(20)
  const socket = open()
  expect(await echo(socket, 'first')).toBeGreaterThanOrEqual(79)
  expect(await echo(socket, 'second')).toBeGreaterThanOrEqual(39)
})

test('connections do not wait for each other', async () => {
  const { open } = await startEcho(100)
  const start = performance.now()
  await Promise.all(Array.from({ length: 50 }, () => echo(open(), 'x')))
  // One after the other they would need 20 s.
  expect(performance.now() - start).toBeLessThan(10_000)
})

test('bytes arrive in order and whole, and are counted', async () => {
  const { proxy, open } = await startEcho(1)
  const socket = open()
  const sent = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => index % 251))
  const chunks: Buffer[] = []
  socket.on('data', (bytes: Buffer) => chunks.push(bytes))
  const ended = once(socket, 'end')
  for (let at = 0; at < sent.length; at += 100_000) socket.write(sent.subarray(at, at + 100_000))
  socket.end()
  await ended
  expect(Buffer.concat(chunks).equals(sent)).toBe(true)
  expect(proxy.counts).toEqual({ connections: 1, up: sent.length, down: sent.length })
})
