import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { type Digest, isLegacy, makeDigest } from '@cairn/protocol/digest'
import { PackWriter } from '@cairn/protocol/pack'
import type { Scope } from '@cairn/protocol/scope'
import { serializeTree } from '@cairn/protocol/tree'
import { diskBlobStore } from '../../server/src/adapters/blob-store/disk.ts'
import { DEFAULT_LIMITS, type Limits, readConfig } from '../../server/src/config.ts'
import type { BlobStore } from '../../server/src/domain/ports/blob-store.ts'
import { createToken } from '../../server/src/domain/tokens.ts'
import { createLog } from '../../server/src/log.ts'
import { openParts, type Parts, serve, work } from '../../server/src/wire.ts'
import { startTestPostgres } from './postgres.ts'
import { ROOT } from './project.ts'

export interface TestServerOptions {
  limits?: Partial<Limits>
  /** Wraps the store, for stores that fail. */
  blobs?: (disk: BlobStore) => BlobStore
  /** Another server's database and blobs, to be its replica. */
  replicaOf?: TestServer
  /** Runs jobs as well. */
  jobs?: boolean
  /** Settings; with S3_ENDPOINT among them the blobs are in that bucket. */
  env?: Record<string, string>
}

export interface TestServer {
  url: string
  /** Over all projects. */
  adminToken: string
  /** `projects` undefined: all. Expires after `expiresIn` seconds, if given. */
  token(scopes: readonly Scope[], projects?: readonly string[], expiresIn?: number): Promise<string>
  createProject(slug: string): Promise<void>
  /** A request as `token`, the administrator by default; `null` sends none. */
  ask(method: string, path: string, options?: AskOptions): Promise<Response>
  blobStore: BlobStore
  /** Where the blobs are, as files. */
  blobDir: string
  parts: Parts
  poolConfig: pg.PoolConfig
  stop(): Promise<void>
}

export interface AskOptions {
  token?: string | null
  body?: Uint8Array | string | ReadableStream | FormData
  json?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** A server in this process on a free port, over an embedded Postgres and blobs in a temporary folder. Has the project `demo`. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const postgres = options.replicaOf ? undefined : await startTestPostgres()
  const poolConfig = options.replicaOf?.poolConfig ?? postgres?.poolConfig
  if (!poolConfig) throw new Error('no database')
  const home = options.replicaOf?.blobDir ?? mkdtempSync(path.join(os.tmpdir(), 'cairn-server-'))
  const disk = diskBlobStore(home)
  const blobStore = options.blobs?.(disk) ?? disk
  const config = {
    ...readConfig(options.env ?? {}),
    home,
    port: 0,
    limits: { ...DEFAULT_LIMITS, shutdownSeconds: 2, ...options.limits },
  }
  const database = { poolConfig, kind: 'test', stop: () => postgres?.stop() ?? Promise.resolve() }
  const parts = await openParts(
    config,
    createLog({ level: 'silent', pretty: false }),
    database,
    config.s3 ? {} : { blobs: blobStore },
  )
  const serving = await serve(parts)
  const stopping = new AbortController()
  const jobs = options.jobs ? work(parts, stopping.signal) : Promise.resolve()
  await parts.stores.catalog.createProject('demo')
  const token: TestServer['token'] = async (scopes, projects, expiresIn) => {
    const request = {
      name: `test ${scopes.join(' ')}`,
      scopes: [...scopes],
      projects: projects ? [...projects] : null,
      expiresIn: expiresIn ?? null,
    }
    return (await createToken(parts.stores, parts.codec, request, undefined)).secret
  }
  const adminToken = await token(['admin'])
  return {
    url: serving.url,
    adminToken,
    token,
    async createProject(slug) {
      await parts.stores.catalog.createProject(slug)
    },
    ask: (method, pathname, ask = {}) => send(`${serving.url}${pathname}`, method, { token: adminToken, ...ask }),
    blobStore,
    blobDir: home,
    parts,
    poolConfig,
    async stop() {
      stopping.abort()
      await jobs
      await serving.close()
      await parts.close()
      if (!options.replicaOf) rmSync(home, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

function send(url: string, method: string, options: AskOptions): Promise<Response> {
  const headers: Record<string, string> = { ...options.headers }
  if (options.token) headers['Authorization'] ??= `Bearer ${options.token}`
  if (options.json !== undefined) headers['Content-Type'] = 'application/json'
  const body = options.json === undefined ? options.body : JSON.stringify(options.json)
  const streaming = body instanceof ReadableStream ? { duplex: 'half' as const } : {}
  return fetch(url, {
    method,
    headers,
    redirect: 'manual',
    ...(body === undefined ? {} : { body: body as NonNullable<RequestInit['body']> }),
    ...(options.signal ? { signal: options.signal } : {}),
    ...streaming,
  })
}

export interface ServerProcess {
  url: string
  /** Printed at the first start of its home. */
  adminToken: string | undefined
  home: string
  pid: number
  output(): string
  ask(method: string, path: string, options?: AskOptions): Promise<Response>
  /** Ends it with a signal and waits for its end; resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  /** Stops it and removes its home. */
  remove(): Promise<void>
}

export interface ServerProcessOptions {
  /** Another server's home, to start it again. */
  home?: string
  port?: number
  env?: Record<string, string>
  adminToken?: string
}

const START_MILLISECONDS = 60_000

/** The built server as a program of its own, on the embedded default in a temporary home. Needs `npm run build`. */
export async function startServerProcess(options: ServerProcessOptions = {}): Promise<ServerProcess> {
  const home = options.home ?? mkdtempSync(path.join(os.tmpdir(), 'cairn-home-'))
  const env = { ...process.env, CAIRN_HOME: home, HOST: '127.0.0.1', PORT: String(options.port ?? 0), ...options.env }
  const child = spawn(process.execPath, [path.join(ROOT, 'server/dist/cairn-server.mjs'), 'serve'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const url = await waitForUrl(child, () => output)
  const adminToken = /eyJ[\w-]+\.[\w-]+\.[\w-]+/.exec(output)?.[0] ?? options.adminToken
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.kill(signal)
    return ended
  }
  return {
    url,
    adminToken,
    home,
    pid: child.pid ?? 0,
    output: () => output,
    ask: (method, pathname, ask = {}) =>
      send(`${url}${pathname}`, method, { ...(adminToken ? { token: adminToken } : {}), ...ask }),
    stop,
    async remove() {
      await stop()
      rmSync(home, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

async function waitForUrl(child: ChildProcess, output: () => string): Promise<string> {
  const end = performance.now() + START_MILLISECONDS
  for (;;) {
    const url = /Cairn is ready at (\S+)/.exec(output())?.[1]
    if (url) return url
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${output()}`)
    if (performance.now() > end) {
      child.kill('SIGKILL')
      throw new Error(`the server is not ready:\n${output()}`)
    }
    await sleep(50)
  }
}

export const digestOf = (bytes: Uint8Array | string, options: { tree?: boolean; legacy?: boolean } = {}): Digest =>
  makeDigest(createHash('md5').update(bytes).digest('hex'), options)

/** A pack of these payloads, under their own digests or the given ones. */
export function packOf(members: ReadonlyArray<{ bytes: Uint8Array | string; digest?: Digest }>): Buffer {
  const writer = new PackWriter()
  const pieces: Uint8Array[] = [writer.start()]
  for (const { bytes, digest } of members) {
    const payload = Buffer.from(bytes)
    pieces.push(writer.header(digest ?? digestOf(payload), payload.length), payload)
  }
  return Buffer.concat([...pieces, writer.end(randomBytes(16))])
}

/** A tree of these files, by path: its bytes and its digest. */
export function treeOf(files: Readonly<Record<string, Digest>>): { bytes: Uint8Array; digest: Digest } {
  const entries = Object.entries(files).map(([file, digest]) => ({ path: file, digest }))
  const bytes = serializeTree(entries)
  return { bytes, digest: digestOf(bytes, { tree: true, legacy: entries.some((entry) => isLegacy(entry.digest)) }) }
}
