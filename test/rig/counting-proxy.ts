import { createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface CountingProxy {
  url: string
  /** `POST /api/v1/…` in the order they came. */
  requests: string[]
  /** Bytes of bodies. */
  sent: number
  received: number
  reset(): void
  close(): Promise<void>
}

/** Stands before a server and counts what passes; `latencyMs` is added to every answer. */
export async function startCountingProxy(target: string, options: { latencyMs?: number } = {}): Promise<CountingProxy> {
  const to = new URL(target)
  const proxy: CountingProxy = {
    url: '',
    requests: [],
    sent: 0,
    received: 0,
    reset() {
      proxy.requests.length = 0
      proxy.sent = 0
      proxy.received = 0
    },
    close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))),
  }
  const server = createServer({ requestTimeout: 0 }, (incoming, answer) => {
    proxy.requests.push(`${incoming.method} ${incoming.url}`)
    const outgoing = request({
      host: to.hostname,
      port: to.port,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.headers,
    })
    incoming.on('data', (chunk: Buffer) => (proxy.sent += chunk.length))
    outgoing.on('response', (response: IncomingMessage) => {
      void (async () => {
        if (options.latencyMs) await sleep(options.latencyMs)
        response.on('data', (chunk: Buffer) => (proxy.received += chunk.length))
        answer.writeHead(response.statusCode ?? 502, response.statusMessage, response.headers)
        await pipeline(response, answer).catch(() => undefined)
      })()
    })
    outgoing.on('error', () => answer.destroy())
    answer.on('close', () => {
      if (!answer.writableFinished) outgoing.destroy()
    })
    pipeline(incoming, outgoing).catch(() => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return proxy
}
