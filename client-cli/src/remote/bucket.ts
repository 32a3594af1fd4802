import { createHash } from 'node:crypto'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { HttpClient } from './http-client.ts'
import { readBytes } from './http-exchange.ts'
import { type MemoryFile, memoryFile } from './memory-file.ts'

/** What going straight to a server's bucket takes. Given by whoever opens the remote. */
export interface BucketOptions {
  /** The remote's url. */
  server: URL
  /** A client for another origin, which is shown no credentials. */
  open(origin: string): HttpClient
  /** A folder for what is remembered over runs: that the bucket is out of reach, and what was on its way there. */
  dir: string
  /** Told, once, why nothing goes there. */
  say(text: string): void
}

/** A look that takes longer is no way to gain time. */
const LOOK_MS = 3000
const REMEMBERED_MS = 15 * 60_000

/** The server's bucket, where this client reaches it. Close it. */
export interface Bucket {
  /** False for a while after it was out of reach. */
  mayTry(): boolean
  /** Nothing more goes there in this run. */
  leave(why: string): void
  /**
   * The client for URLs of that origin, once a look through `check` has found the very bucket there: a name or an address may
   * mean another machine in another network. undefined when it has not.
   */
  reach(url: string, check: { url: string; sha256: string }, signal: AbortSignal): Promise<HttpClient | undefined>
  close(): void
}

export function openServerBucket(options: BucketOptions): Bucket {
  const clients = new Map<string, Promise<HttpClient | undefined>>()
  let opened: HttpClient[] = []
  let mayTry = !isRemembered(options)

  const look = async (origin: string, check: { url: string; sha256: string }, signal: AbortSignal) => {
    const http = options.open(origin)
    opened.push(http)
    return (await findsBucket(http, check, signal)) ? http : giveUp(`nobody at ${origin} shows what the bucket would`)
  }
  const leave = (why: string) => {
    if (mayTry) options.say(`everything goes through the server: ${why}`)
    mayTry = false
  }
  const giveUp = (why: string) => {
    leave(why)
    memoryOf(options).remember(options.server.href, Date.now())
    return undefined
  }

  return {
    mayTry: () => mayTry,
    leave,
    async reach(text, check, signal) {
      const url = followable(text, options.server)
      if (url === undefined || url.origin !== followable(check.url, options.server)?.origin)
        return giveUp(
          `${URL.canParse(text) ? new URL(text).origin : 'its bucket'} is no address to be sent to by ${options.server.origin}`,
        )
      const known = clients.get(url.origin) ?? look(url.origin, check, signal)
      clients.set(url.origin, known)
      return known
    },
    close() {
      for (const http of opened) http.close()
      opened = []
    },
  }
}

/** Compares bytes that only the bucket can know. */
async function findsBucket(http: HttpClient, check: { url: string; sha256: string }, signal: AbortSignal): Promise<boolean> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)])
  try {
    const request = { method: 'GET', path: pathOf(check.url), signal: within } as const
    const bytes = await http.send(request, (answer) => readBytes(answer, 4096))
    return createHash('sha256').update(bytes).digest('hex') === check.sha256
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof CairnError) return false
    throw error
  }
}

/** The path and the query of a URL, as a client of its origin wants them. */
export function pathOf(url: string): string {
  const { pathname, search } = new URL(url)
  return `${pathname}${search}`
}

/**
 * A URL that a server may send us to; undefined for one that it may not. A server that is far away must not make us talk to
 * this machine or this network, and no line may be less private than the one to the server.
 */
export function followable(text: string, server: URL): URL | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return undefined
  if (url.protocol !== 'https:' && (url.protocol !== 'http:' || server.protocol === 'https:')) return undefined
  return reachOf(url.hostname) >= reachOf(server.hostname) ? url : undefined
}

/** How far a host's name carries: 0 this machine, 1 this network, 2 anywhere. */
function reachOf(hostname: string): number {
  if (hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname) || hostname === '0.0.0.0') return 0
  if (!/[.:]/.test(hostname) || /^169\.254\.|^\[fe80:/.test(hostname)) return 1
  return 2
}

const memoryOf = ({ dir }: BucketOptions): MemoryFile => memoryFile(path.join(dir, 'out-of-reach.json'))

function isRemembered(options: BucketOptions): boolean {
  const at = memoryOf(options).read(options.server.href)
  return typeof at === 'number' && Math.abs(Date.now() - at) < REMEMBERED_MS
}
