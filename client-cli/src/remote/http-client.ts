import { setMaxListeners } from 'node:events'
import http, { type Agent, type IncomingMessage } from 'node:http'
import { CairnError } from '@cairn/protocol/error'
import type { Credentials } from './credentials.ts'
import { answerError, cancelled, TransientError } from './http-error.ts'
import { exchange, type HttpBody, readText } from './http-exchange.ts'
import { createLines, type Lines, type LineRequest, type RangeReader } from './http-line.ts'
import { classify, retry, shown, type Wait } from './retry.ts'

export interface HttpClientOptions {
  /** Requests name paths below its origin. */
  base: string
  credentials: Credentials
  /** `false` accepts any certificate; `ca` is the text of a CA's certificate. */
  tls?: { verify?: boolean; ca?: string } | undefined
  /** Connections at once. */
  sockets: number
  connectSeconds?: number | undefined
  /** Without a byte in either direction. */
  stallSeconds?: number | undefined
  /** How long nothing may go well with a server that has answered before: it may be restarting. Default 300. */
  patienceSeconds?: number | undefined
  /** `http_proxy` and its kin are read from it. */
  env?: Readonly<Record<string, string | undefined>> | undefined
}

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** With a leading `/`. */
  path: string
  headers?: Readonly<Record<string, string>> | undefined
  /** Asked for once an attempt. */
  body?: (() => HttpBody) | undefined
  signal: AbortSignal
  /** Statuses beside 2xx that are answers and not errors. */
  accept?: readonly number[] | undefined
}

export interface Download {
  /** undefined when the server did not say. */
  size: number | undefined
  /** Goes on where it was when the connection breaks. */
  bytes: AsyncIterable<Uint8Array>
}

/**
 * Requests to one origin over kept connections. What fails in passing is tried again, with growing pauses, so every request
 * must be one that may come twice. Close it, or its idle connections keep the program alive.
 * All methods throw CairnError: UNREACHABLE, REMOTE_FAILED, CANCELLED, or what the server's error body says.
 */
export interface HttpClient {
  readonly base: URL
  /** Sent so far, repetitions included. */
  readonly requests: number
  /** Tells of each pause before another try, of whichever request. Returns how to stop listening. */
  onWait(listener: (wait: Wait) => void): () => void
  /** `read` is part of the attempt: when the body breaks, it is called again with another answer. */
  send<T>(request: HttpRequest, read: (answer: IncomingMessage) => Promise<T>): Promise<T>
  json<T>(request: HttpRequest): Promise<T>
  /** undefined when the answer is 404 or 410. */
  download(request: Omit<HttpRequest, 'method' | 'body'>): Promise<Download | undefined>
  /**
   * One try to read a range of an object over a line of its own (see `Lines`): false when `send` has to ask for what was not
   * read. Rejects with what `reader` throws.
   */
  readRange(request: Omit<LineRequest, 'headers'>, reader: RangeReader): Promise<boolean>
  /** The same connections for somebody else; closing either closes them. */
  as(credentials: Credentials): HttpClient
  close(): void
}

/** A server that never answered is more likely absent than restarting. */
const STRANGER_PATIENCE_SECONDS = 3
const PATIENCE_SECONDS = 300
const CONNECT_SECONDS = 30
const STALL_SECONDS = 60
const GONE = [404, 410]

export const createHttpClient = (options: HttpClientOptions): HttpClient =>
  clientOver({ agents: createAgents(options), lines: linesOf(options) }, options)

/** Lines know no proxy. */
function linesOf({ base, env, tls, connectSeconds = CONNECT_SECONDS, stallSeconds = STALL_SECONDS }: HttpClientOptions) {
  const proxies = Object.entries(env ?? {}).filter(([name, value]) => /^https?_proxy$/i.test(name) && value)
  return proxies.length > 0 ? undefined : createLines({ base: new URL(base), tls, connectSeconds, stallSeconds })
}

function clientOver(connections: { agents: Agents; lines: Lines | undefined }, options: HttpClientOptions): HttpClient {
  const { agents, lines } = connections
  const base = new URL(options.base)
  const patienceSeconds = options.patienceSeconds ?? PATIENCE_SECONDS
  const tally = { requests: 0, answered: false, progressAt: 0 }
  const listeners = new Set<(wait: Wait) => void>()
  const onWait = (wait: Wait) => listeners.forEach((listener) => listener(wait))

  const urlOf = (request: { path: string }): URL => {
    const url = new URL(request.path, base)
    if (url.origin !== base.origin) throw new Error(`${request.path} leaves ${base.origin}`)
    return url
  }
  const patiently = <T>(request: Omit<HttpRequest, 'method'>, attempt: () => Promise<T>): Promise<T> => {
    setMaxListeners(0, request.signal)
    const patience = () => (tally.answered ? patienceSeconds : Math.min(patienceSeconds, STRANGER_PATIENCE_SECONDS))
    const [url, progressAt] = [urlOf(request), () => tally.progressAt]
    return retry({ signal: request.signal, url, patienceSeconds: patience, progressAt, onWait }, attempt)
  }
  const respond = (request: HttpRequest) => respondOnce(request, urlOf(request), { options, agents, tally })
  const send = <T>(request: HttpRequest, read: (answer: IncomingMessage) => Promise<T>): Promise<T> =>
    patiently(request, async () => {
      const answer = await respond(request)
      try {
        const result = await read(answer)
        // Not before: an answer that always breaks off is no progress.
        tally.progressAt = performance.now()
        return result
      } finally {
        release(answer, request.method)
      }
    })

  return {
    base,
    get requests() {
      return tally.requests
    },
    onWait(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    send,
    json: <T>(request: HttpRequest) => send(request, async (answer) => parseJson<T>(await readText(answer), urlOf(request))),
    async download(request) {
      const open = (from: number) => {
        const headers = from === 0 ? request.headers : { ...request.headers, range: `bytes=${from}-` }
        return patiently(request, () => respond({ ...request, method: 'GET', headers, accept: GONE }))
      }
      const first = await open(0)
      if (GONE.includes(first.statusCode ?? 0)) {
        release(first, 'GET')
        return undefined
      }
      const length = first.headers['content-length']
      const bytes = continued(first, open, { url: urlOf(request), signal: request.signal })
      return { size: length === undefined ? undefined : Number(length), bytes }
    },
    async readRange(request, reader) {
      if (!lines) return false
      const { pathname, search } = urlOf(request)
      const headers = { 'user-agent': 'cairn', accept: '*/*', ...options.credentials.headers }
      tally.requests++
      const whole = await lines.read({ ...request, path: pathname + search, headers }, reader)
      if (whole) tally.progressAt = performance.now()
      return whole
    },
    as: (credentials) => clientOver(connections, { ...options, credentials }),
    close() {
      agents.close()
      lines?.close()
    },
  }
}

interface Wires {
  options: HttpClientOptions
  agents: Agents
  tally: { requests: number; answered: boolean }
}

const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** One try, with the redirects of a read followed; the caller consumes or destroys what it resolves with. */
async function respondOnce(request: HttpRequest, start: URL, { options, agents, tally }: Wires): Promise<IncomingMessage> {
  const { connectSeconds = CONNECT_SECONDS, stallSeconds = STALL_SECONDS, credentials } = options
  const reads = request.method === 'GET' || request.method === 'HEAD'
  let url = start
  for (let hop = 0; ; hop++) {
    // Another origin is shown no credentials.
    const own = url.origin === start.origin ? credentials.headers : {}
    const headers = { 'user-agent': 'cairn', accept: '*/*', ...own, ...request.headers }
    tally.requests++
    const limits = { connectSeconds, stallSeconds, agent: await agents.for(url) }
    const answer = await exchange(
      { url, method: request.method, headers, body: request.body?.(), signal: request.signal },
      limits,
    )
    tally.answered = true
    const status = answer.statusCode ?? 0
    if (reads && REDIRECTS.has(status) && hop < MAX_REDIRECTS && answer.headers.location !== undefined) {
      answer.destroy()
      url = redirectTarget(answer.headers.location, url)
      continue
    }
    if ((status >= 200 && status < 300) || request.accept?.includes(status)) return answer
    throw await failureOf(answer, request.method, url, credentials)
  }
}

function redirectTarget(location: string, from: URL): URL {
  const url = new URL(location, from)
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  throw new CairnError('REMOTE_FAILED', `${shown(from)}: redirected to ${url.protocol}`, { exit: 1 })
}

async function failureOf(answer: IncomingMessage, method: string, url: URL, credentials: Credentials): Promise<Error> {
  const body = method === 'HEAD' ? '' : await readText(answer, 64 * 1024)
  release(answer, method)
  const told = { status: answer.statusCode ?? 0, reason: answer.statusMessage ?? '', retryAfter: answer.headers['retry-after'] }
  return answerError({ ...told, body, url: shown(url) }, credentials.source)
}

/** An answer that was not read to its end would hold its connection; a short one is cheaper to read than to cut. */
function release(answer: IncomingMessage, method: string): void {
  if (answer.readableEnded || answer.destroyed) return
  const short = Number(answer.headers['content-length'] ?? Number.NaN) <= 16 * 1024
  if (short || method === 'HEAD' || answer.statusCode === 204) answer.resume()
  else answer.destroy()
}

interface Agents {
  for(url: URL): Promise<Agent>
  close(): void
}

function createAgents(options: HttpClientOptions): Agents {
  const made = new Map<string, Promise<Agent>>()
  const shared = { keepAlive: true, maxSockets: options.sockets, ...(options.env && { proxyEnv: { ...options.env } }) }
  const make = async (protocol: string): Promise<Agent> => {
    if (protocol === 'http:') return new http.Agent(shared)
    // The default: in the bundled CLI a built-in module is loaded at its first use, and has no other exports before.
    const { default: https } = await import('node:https')
    const { verify = true, ca } = options.tls ?? {}
    return new https.Agent({ ...shared, rejectUnauthorized: verify, ...(ca !== undefined && { ca }) })
  }
  return {
    for({ protocol }) {
      const agent = made.get(protocol) ?? make(protocol)
      made.set(protocol, agent)
      return agent
    },
    close() {
      for (const agent of made.values()) void agent.then((known) => known.destroy())
    },
  }
}

const MAX_BREAKS = 3

/** A break costs a new request for the rest; a few breaks without a byte between them are final. */
async function* continued(
  first: IncomingMessage,
  open: (from: number) => Promise<IncomingMessage>,
  where: { url: URL; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  let answer = first
  let position = 0
  let skip = 0
  for (let breaks = 0; ;) {
    try {
      for await (const chunk of answer as AsyncIterable<Uint8Array>) {
        const part = chunk.subarray(Math.min(skip, chunk.length))
        skip -= chunk.length - part.length
        if (part.length === 0) continue
        position += part.length
        breaks = 0
        yield part
      }
      return
    } catch (error) {
      if (where.signal.aborted) throw cancelled(where.signal)
      const failure = classify(error, where.url)
      if (!(failure instanceof TransientError)) throw failure
      if (++breaks > MAX_BREAKS) throw failure.failure
    } finally {
      answer.destroy()
    }
    answer = await open(position)
    if (GONE.includes(answer.statusCode ?? 0)) {
      answer.destroy()
      throw new CairnError('OBJECT_UNKNOWN', `${shown(where.url)}: gone while it was read`)
    }
    // A server without ranges sends everything again.
    skip = answer.statusCode === 206 ? 0 : position
  }
}

function parseJson<T>(text: string, url: URL): T {
  try {
    return JSON.parse(text) as T
  } catch {
    throw new CairnError('REMOTE_FAILED', `${shown(url)}: the answer is not JSON`, {
      exit: 1,
      hint: "Check the remote's url with 'cairn remote list'.",
    })
  }
}
