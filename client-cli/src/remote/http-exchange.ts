import http, { type Agent, type ClientRequest, type IncomingMessage } from 'node:http'
import { stalled } from './http-error.ts'

/** Bytes to send. `length` is the exact number; undefined sends chunks. */
export type HttpBody = Uint8Array | { length: number | undefined; chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array> }

export interface Exchange {
  url: URL
  method: string
  headers: Readonly<Record<string, string>>
  body: HttpBody | undefined
  signal: AbortSignal
}

export interface ExchangeLimits {
  agent: Agent
  connectSeconds: number
  stallSeconds: number
}

/**
 * Sends one request and resolves with the answer as soon as its head is here, also while the body is still being sent:
 * then the rest of the body is not sent. Rejects with what the body's source throws, the system's network error, a
 * TransientError on a stall, or an AbortError.
 */
export async function exchange(request: Exchange, limits: ExchangeLimits): Promise<IncomingMessage> {
  const { url, method, signal } = request
  const library = url.protocol === 'https:' ? (await import('node:https')).default : http
  const headers = { ...request.headers, ...bodyHeaders(request.body) }
  const outgoing = library.request(url, { method, headers, agent: limits.agent, signal })
  watch(outgoing, url, limits)
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve)
    // Stays for the request's whole life: after an early answer a failing write is no news.
    outgoing.on('error', reject)
  })
  const sending = sendBody(outgoing, request.body)
  // Whichever fails first is the reason: a source that throws has destroyed the request, too.
  const [incoming] = await Promise.all([answer, Promise.race([sending, answer])])
  return incoming
}

function bodyHeaders(body: HttpBody | undefined): Record<string, string> {
  if (body === undefined) return {}
  return body.length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(body.length) }
}

function watch(outgoing: ClientRequest, url: URL, limits: ExchangeLimits): void {
  const where = url.origin
  outgoing.setTimeout(limits.stallSeconds * 1000, () => outgoing.destroy(stalled(where, limits.stallSeconds)))
  outgoing.on('socket', (socket) => {
    if (!socket.connecting) return
    const timer = setTimeout(() => {
      outgoing.destroy(Object.assign(new Error('connecting took too long'), { code: 'ETIMEDOUT' }))
    }, limits.connectSeconds * 1000)
    const stop = () => clearTimeout(timer)
    socket.once('connect', stop).once('close', stop)
  })
}

async function sendBody(outgoing: ClientRequest, body: HttpBody | undefined): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    outgoing.end(body)
    return
  }
  let answered = false
  outgoing.on('response', (incoming: IncomingMessage) => {
    answered = true
    // The connection has half a body on it and cannot be used again.
    if (!outgoing.writableEnded) incoming.on('close', () => outgoing.destroy())
  })
  try {
    if (outgoing.hasHeader('expect')) await allowed(outgoing)
    for await (const chunk of body.chunks) {
      if (answered || outgoing.destroyed) return
      if (!outgoing.write(chunk)) await drained(outgoing)
    }
    if (!answered) outgoing.end()
  } catch (error) {
    outgoing.destroy(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}

/** A server that does not know the header does not answer it; curl waits as long. */
const CONTINUE_MS = 1000

/** Settles when the server asks for the body, or has said nothing for a while, or wants none. */
async function allowed(outgoing: ClientRequest): Promise<void> {
  outgoing.flushHeaders()
  await happened(outgoing, 'continue', CONTINUE_MS)
}

/** Settles when more may be written, or when nobody wants more. */
const drained = (outgoing: ClientRequest): Promise<void> => happened(outgoing, 'drain')

/** Settles with the event, or when no more will be written. */
function happened(outgoing: ClientRequest, event: 'drain' | 'continue', milliseconds?: number): Promise<void> {
  return new Promise((resolve) => {
    const events = [event, 'close', 'error', 'response']
    const done = () => {
      clearTimeout(timer)
      for (const name of events) outgoing.off(name, done)
      resolve()
    }
    const timer = milliseconds === undefined ? undefined : setTimeout(done, milliseconds)
    for (const name of events) outgoing.on(name, done)
  })
}

/** The body as text. A longer one than `limit` bytes is cut there. */
export async function readText(answer: IncomingMessage, limit = 512 * 1024 * 1024): Promise<string> {
  return Buffer.from(await readBytes(answer, limit)).toString('utf8')
}

export async function readBytes(answer: IncomingMessage, limit = 512 * 1024 * 1024): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= limit) break
  }
  return Buffer.concat(chunks).subarray(0, limit)
}
