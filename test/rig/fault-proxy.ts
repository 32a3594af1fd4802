import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FaultProxy {
  url: string
  requests: string[]
  /** Bytes of bodies so far. */
  up: number
  down: number
  faults: Faults
  stop(): Promise<void>
}

export interface Faults {
  /** `cut` drops the connection instead of passing the request on; a number is answered as that status. */
  onRequest?: ((line: string) => 'pass' | 'cut' | number) | undefined
  /** After each chunk of a request's body; `cut` drops the connection. */
  onUp?: ((total: number) => 'cut' | undefined) | undefined
  /** What the client gets instead of this chunk of an answer; `cut` drops the connection. */
  onDown?: ((line: string, chunk: Buffer, total: number) => Buffer | 'cut') | undefined
}

/** Stands before a server and does to what passes whatever `faults` says at the moment. */
export async function startFaultProxy(target: string, faults: Faults = {}): Promise<FaultProxy> {
  const proxy: FaultProxy = {
    url: '',
    requests: [],
    up: 0,
    down: 0,
    faults,
    stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))),
  }
  const server = createServer({ requestTimeout: 0 }, (incoming, answer) => pass(proxy, new URL(target), incoming, answer))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return proxy
}

function pass(proxy: FaultProxy, to: URL, incoming: IncomingMessage, answer: ServerResponse): void {
  const line = `${incoming.method} ${incoming.url}`
  proxy.requests.push(line)
  const decision = proxy.faults.onRequest?.(line) ?? 'pass'
  const cut = () => incoming.socket.destroy()
  if (decision === 'cut') return void cut()
  if (typeof decision === 'number') return void answer.writeHead(decision, { 'content-length': 0 }).end()

  const outgoing = request({
    host: to.hostname,
    port: to.port,
    method: incoming.method,
    path: incoming.url,
    headers: incoming.headers,
  })
  outgoing.on('error', cut)
  answer.on('close', () => outgoing.destroy())
  incoming.on('data', (chunk: Buffer) => {
    proxy.up += chunk.length
    if (proxy.faults.onUp?.(proxy.up) === 'cut') return void cut()
    if (!outgoing.write(chunk)) {
      incoming.pause()
      outgoing.once('drain', () => incoming.resume())
    }
  })
  incoming.on('end', () => outgoing.end())
  outgoing.on('response', (response) => {
    answer.writeHead(response.statusCode ?? 502, response.statusMessage, response.headers)
    response.on('error', cut)
    response.on('data', (chunk: Buffer) => {
      proxy.down += chunk.length
      const given = proxy.faults.onDown?.(line, chunk, proxy.down) ?? chunk
      if (given === 'cut') return void cut()
      if (!answer.write(given)) {
        response.pause()
        answer.once('drain', () => response.resume())
      }
    })
    response.on('end', () => answer.end())
  })
}
