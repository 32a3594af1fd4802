import { AsyncLocalStorage } from 'node:async_hooks'
import http from 'node:http'
import https from 'node:https'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Client } from 'minio'

export interface S3Options {
  /** `http(s)://host[:port]`, without a path. */
  endpoint: string
  /** Where clients reach it; default: `endpoint`. */
  publicEndpoint?: string
  bucket: string
  region: string
  accessKey: string
  secretKey: string
  /** What all uploads may hold in memory, parts of large objects apart; default 160 MiB. */
  partBytes?: number
  /** Sockets at most; default 64. */
  connections?: number
}

/** The bucket, as the store sees it. */
export interface S3Client {
  bucket: string
  /** Of the connections to the bucket. */
  agent: http.Agent
  /**
   * Calls the S3 client and ends the request when the signal aborts. Failures become STORAGE_FAILED or STORAGE_FULL about
   * `what`, with S3's own error as the cause.
   */
  call<T>(what: string, signal: AbortSignal, fn: (client: Client) => Promise<T>): Promise<T>
}

// An answer comes within seconds; completing an upload of thousands of parts may take minutes.
const ANSWER_MS = 300_000
const FULL = ['XMinioStorageFull', 'InsufficientStorage', 'InsufficientCapacity', 'QuotaExceeded', 'StorageFull', 'HTTP_507']

/** The client is loaded at the first call: it costs an eighth of a second that a server on disks need not pay. */
export function openS3Client(options: S3Options): S3Client {
  const signals = new AsyncLocalStorage<AbortSignal>()
  const { Agent } = options.endpoint.startsWith('https:') ? https : http
  const agent = new Agent({ keepAlive: true, maxSockets: options.connections ?? 64 })
  let loading: Promise<Client> | undefined

  return {
    bucket: options.bucket,
    agent,
    async call(what, signal, fn) {
      signal.throwIfAborted()
      const client = await (loading ??= loadClient(options, agent, signals))
      try {
        return await signals.run(signal, () => fn(client))
      } catch (error) {
        signal.throwIfAborted()
        throw storageError(what, error)
      }
    },
  }
}

/** Whether S3 gave this code for a failure of `call`. */
export function isReason(error: unknown, code: string): boolean {
  return error instanceof CairnError && isCode(error.cause, code)
}

async function loadClient(options: S3Options, agent: http.Agent, signals: AsyncLocalStorage<AbortSignal>): Promise<Client> {
  const minio = await import('minio')
  const { protocol, hostname, port } = new URL(options.endpoint)
  const useSSL = protocol === 'https:'
  return new minio.Client({
    endPoint: hostname.replace(/^\[|\]$/g, ''),
    ...(port === '' ? {} : { port: Number(port) }),
    useSSL,
    // Known beforehand, it saves one question a bucket.
    region: options.region,
    accessKey: options.accessKey,
    secretKey: options.secretKey,
    pathStyle: true,
    transport: { request: requestUnder(signals, useSSL) },
    transportAgent: agent,
    // Its own retries write to the console, and know no signal.
    retryOptions: { disableRetry: true },
  })
}

/** `http.request`, ended by the signal of the call that it is made for: the S3 client takes none. */
function requestUnder(signals: AsyncLocalStorage<AbortSignal>, useSSL: boolean): typeof http.request {
  const { request } = useSSL ? https : http
  const send = (options: https.RequestOptions, onResponse: (response: http.IncomingMessage) => void): http.ClientRequest => {
    const signal = signals.getStore()
    const sent = request({ ...options, ...(signal ? { signal } : {}) }, (response) => {
      clearTimeout(deadline)
      if (isBusy(response.statusCode ?? 0)) void failBusy(sent, response)
      else onResponse(response)
    })
    const late = Object.assign(new Error(`no answer in ${ANSWER_MS / 1000} s`), { code: 'ETIMEDOUT' })
    const deadline = setTimeout(() => sent.destroy(late), ANSWER_MS)
    sent.once('close', () => clearTimeout(deadline))
    sent.once('socket', (socket) => socket.setKeepAlive(true, 30_000))
    return sent
  }
  return send as typeof http.request
}

/** The statuses of which the S3 client keeps neither the reason nor the socket. */
function isBusy(status: number): boolean {
  return [408, 429, 499, 500, 502, 503, 504, 520].includes(status)
}

async function failBusy(sent: http.ClientRequest, response: http.IncomingMessage): Promise<void> {
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) if (text.length < 65_536) text += String(chunk)
  } catch {
    // The status says enough.
  }
  const code = /<Code>([^<]+)<\/Code>/.exec(text)?.[1]
  const message = /<Message>([^<]+)<\/Message>/.exec(text)?.[1]
  const status = `HTTP_${response.statusCode}`
  sent.emit('error', Object.assign(new Error(message ?? status), { code: code ?? status }))
}

function storageError(what: string, cause: unknown): CairnError {
  if (cause instanceof CairnError) return cause
  const code = cause instanceof Error && 'code' in cause ? `${String(cause.code)}: ` : ''
  const reason = cause instanceof Error ? cause.message : String(cause)
  if (!isCode(cause, ...FULL)) return new CairnError('STORAGE_FAILED', `${what}: ${code}${reason}`, { cause })
  return new CairnError('STORAGE_FULL', `${what}: the bucket takes no more (${code}${reason})`, {
    cause,
    hint: 'Free space or raise the quota of the bucket, then push again: what was stored stays.',
  })
}
