import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'

export interface PlainHttpRemote {
  url: string
  dir: string
  /** `GET /files/md5/ab/…`, in the order they came. */
  requests: string[]
  stop(): Promise<void>
}

export interface PlainHttpRemoteOptions {
  dir: string
  /** The value that Authorization must have. */
  authorization?: string
  /** Answers HEAD with 405, as some do. */
  noHead?: boolean
}

/** A bucket-like server: it stores what it is sent and gives it back, checks nothing and lists nothing. */
export async function startPlainHttpRemote(options: PlainHttpRemoteOptions): Promise<PlainHttpRemote> {
  const requests: string[] = []
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 65_000 }, (req, res) => {
    requests.push(`${req.method} ${req.url}`)
    answer(options, req, res).catch(() => res.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dir: options.dir,
    requests,
    stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))),
  }
}

async function answer(
  { dir, authorization, noHead }: PlainHttpRemoteOptions,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const file = path.join(dir, path.posix.normalize(new URL(req.url ?? '/', 'http://x').pathname))
  if (authorization !== undefined && req.headers.authorization !== authorization) return end(res, 401)
  if (req.method === 'POST' || req.method === 'PUT') return store(file, req, res)
  if (req.method === 'HEAD' && noHead) return end(res, 405)
  if (req.method !== 'GET' && req.method !== 'HEAD') return end(res, 405)
  const stat = statSync(file, { throwIfNoEntry: false })
  if (!stat?.isFile()) return end(res, 404)
  const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '')
  const start = Number(range?.[1] ?? 0)
  const last = range?.[2] ? Math.min(Number(range[2]), stat.size - 1) : stat.size - 1
  const headers = { 'content-length': last - start + 1, 'accept-ranges': 'bytes' }
  res.writeHead(range ? 206 : 200, range ? { ...headers, 'content-range': `bytes ${start}-${last}/${stat.size}` } : headers)
  if (req.method === 'HEAD' || stat.size === 0) res.end()
  else await pipeline(createReadStream(file, { start, end: last }), res)
}

async function store(file: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const draft = `${file}.${randomBytes(6).toString('hex')}.tmp`
  mkdirSync(path.dirname(file), { recursive: true })
  try {
    await pipeline(req, createWriteStream(draft))
    renameSync(draft, file)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
  end(res, 201)
}

function end(res: ServerResponse, status: number): void {
  res.writeHead(status, { 'content-length': 0 }).end()
}
