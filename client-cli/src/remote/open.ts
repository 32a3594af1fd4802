import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { RemoteInfo } from '@cairn/protocol/api'
import { CairnError, isCode } from '@cairn/protocol/error'
import { API_VERSION } from '@cairn/protocol/limits'
import type { Context } from '../command.ts'
import type { RemoteConfig } from '../repo/config.ts'
import { schemeOf } from '../repo/config-schema.ts'
import type { Repo } from '../repo/repo.ts'
import type { BucketOptions } from './bucket.ts'
import { createCairnRemote } from './cairn-remote.ts'
import { dvcCredentials, NO_CREDENTIALS, tokenFor, withAskedPassword } from './credentials.ts'
import { createDirectoryRemote } from './directory-remote.ts'
import { createDvcHttpRemote } from './dvc-http-remote.ts'
import { createHttpClient, type HttpClient } from './http-client.ts'
import { readText } from './http-exchange.ts'
import type { SourceCache } from './outgoing.ts'
import { memoryFile } from './memory-file.ts'
import type { Remote } from './remote.ts'

/** A plain HTTP server gets one request an object, so it takes more of them at once to be quick. */
const PLAIN_JOBS = 16
/** A bound for a plain server's jobs, and more than a Cairn server is ever sent at once. */
const MOST_SOCKETS = 100

/**
 * The remote of that name, or the default one. A url with a Cairn server behind it gets the native protocol, any other http
 * url what stock dvc speaks. Close it.
 * @throws CairnError CONFIG, UNREACHABLE
 */
export async function openRemote(repo: Repo, name: string | undefined, context: Context, cache: SourceCache): Promise<Remote> {
  const config = resolveRemote(repo, name === undefined ? repo.config.defaultRemote() : repo.config.remote(name))
  const scheme = schemeOf(config.url)
  if (scheme === undefined) return createDirectoryRemote({ name: config.name, dir: config.url, cache })
  if (scheme === 'http' || scheme === 'https') return openHttpRemote(repo, config, context, cache)
  if (scheme === 's3') return openS3Remote(config, context, cache)
  throw new CairnError('CONFIG', `remote '${config.name}': ${scheme}:// is not supported`, {
    hint: 'cairn reads and writes Cairn servers, S3 buckets, plain HTTP(S) servers and directories. Let a Cairn server keep its objects in your bucket.',
  })
}

async function openS3Remote(config: RemoteConfig, { env }: Context, cache: SourceCache): Promise<Remote> {
  const [{ createS3Remote }, { openBucket }] = await Promise.all([import('./s3-remote.ts'), import('./s3-bucket.ts')])
  const jobs = Number(config.options['jobs'] ?? PLAIN_JOBS)
  return createS3Remote({ name: config.name, url: config.url, bucket: openBucket(config, env), cache, jobs })
}

/** `remote://NAME/sub` is a folder of another remote and inherits its options. */
export function resolveRemote(repo: Repo, config: RemoteConfig): RemoteConfig {
  const match = /^remote:\/\/([^/]+)(\/.*)?$/.exec(config.url)
  if (!match?.[1]) return config
  const parent = resolveRemote(repo, repo.config.remote(match[1]))
  return {
    name: config.name,
    url: `${parent.url.replace(/\/$/, '')}${match[2] ?? ''}`,
    options: { ...parent.options, ...config.options },
  }
}

async function openHttpRemote(repo: Repo, config: RemoteConfig, context: Context, cache: SourceCache): Promise<Remote> {
  if (!URL.canParse(config.url)) throw new CairnError('FAILED', `remote '${config.name}': '${config.url}' is no URL`)
  const url = new URL(config.url)
  const shared = { name: config.name, url: withoutSecrets(url), cache }
  const connection = { ...connectionOptions(repo, config), patienceSeconds: patienceOf(context.env) }
  const stranger = createHttpClient({
    base: shared.url,
    credentials: NO_CREDENTIALS,
    sockets: MOST_SOCKETS,
    env: context.env,
    ...connection,
  })
  const info = await findServer(repo, shared.url, stranger, context.signal)
  if (info) {
    const known = tokenFor(url, context.env) ?? dvcCredentials(url, await withAskedPassword(config), context.env)
    const http = stranger.as(known)
    const deltas = context.env['CAIRN_DELTA'] !== 'off'
    return createCairnRemote({ ...shared, info, http, deltas, bucket: bucketOptions(repo, config, shared.url, context) })
  }
  const jobs = Number(config.options['jobs'] ?? PLAIN_JOBS)
  const method = config.options['method']?.toUpperCase() === 'PUT' ? 'PUT' : 'POST'
  const http = stranger.as(dvcCredentials(url, await withAskedPassword(config), context.env))
  return createDvcHttpRemote({ ...shared, method, jobs, http })
}

/** How long nothing may go well before a server is given up; CAIRN_PATIENCE in seconds. @throws CairnError USAGE */
function patienceOf(env: Context['env']): number | undefined {
  const text = env['CAIRN_PATIENCE']
  if (text === undefined || text === '') return undefined
  const seconds = Number(text)
  if (!(seconds >= 0)) throw new CairnError('USAGE', `CAIRN_PATIENCE: '${text}' is not a number of seconds`)
  return seconds
}

const BUCKET_SECONDS = { connectSeconds: 3, patienceSeconds: 10 }

/** undefined: everything goes through the server. Not an option of the remote, for stock dvc refuses those it does not know. */
function bucketOptions(repo: Repo, config: RemoteConfig, server: string, { env, report }: Context): BucketOptions | undefined {
  if (env['CAIRN_DIRECT'] === 'off') return undefined
  const connection = { ...connectionOptions(repo, config), ...BUCKET_SECONDS }
  return {
    server: new URL(server),
    dir: path.join(repo.tmpDir, 'cairn', 'direct'),
    say: (text) => report({ type: 'debug', text }),
    open: (base) => createHttpClient({ base, credentials: NO_CREDENTIALS, sockets: 32, env, ...connection }),
  }
}

function withoutSecrets(url: URL): string {
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  return bare.href.replace(/\/$/, '')
}

/** A remote's options as the client takes them. */
export function connectionOptions(repo: Repo, { options }: RemoteConfig) {
  const seconds = (text: string | undefined) => (text === undefined ? undefined : Number(text))
  const trust = options['ssl_verify']
  const tls =
    trust === undefined || /^true$/i.test(trust)
      ? undefined
      : /^false$/i.test(trust)
        ? { verify: false }
        : { ca: readCertificate(repo, trust) }
  return { connectSeconds: seconds(options['connect_timeout']), stallSeconds: seconds(options['read_timeout']), tls }
}

function readCertificate(repo: Repo, file: string): string {
  try {
    return readFileSync(path.resolve(repo.root, file), 'utf8')
  } catch (cause) {
    throw new CairnError('CONFIG', `ssl_verify: cannot read '${file}'`, { cause })
  }
}

/** What a server once said about itself is believed for a day, so that most pushes do not ask. */
const BELIEVED_MS = 24 * 3600 * 1000

interface Known {
  info: RemoteInfo
  at: number
}

async function findServer(repo: Repo, url: string, http: HttpClient, signal: AbortSignal): Promise<RemoteInfo | undefined> {
  const memory = memoryFile(path.join(repo.tmpDir, 'cairn', 'remotes.json'))
  const before = memory.read(url) as Known | undefined
  if (before && Date.now() - before.at < BELIEVED_MS) return before.info
  const info = await askServer(http, url, signal)
  if (info) memory.remember(url, { info, at: Date.now() } satisfies Known)
  return info
}

/** Anything but Cairn's answer is a plain server's. A server that is down is an error: it may be either. */
async function askServer(http: HttpClient, url: string, signal: AbortSignal): Promise<RemoteInfo | undefined> {
  const path = `${new URL(url).pathname.replace(/\/$/, '')}/.well-known/cairn`
  const headers = { accept: 'application/json' }
  try {
    return await http.send({ method: 'GET', path, headers, signal }, async (answer) =>
      parseInfo(await readText(answer, 64 * 1024)),
    )
  } catch (error) {
    const status = error instanceof CairnError ? Number(error.data?.['status']) : Number.NaN
    const plain = error instanceof CairnError && !isCode(error, 'UNREACHABLE', 'CANCELLED') && !(status >= 500)
    if (plain) return undefined
    http.close()
    throw error
  }
}

function parseInfo(text: string): RemoteInfo | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  const info = parsed as RemoteInfo | null
  if (typeof info !== 'object' || info?.server !== 'cairn') return undefined
  const limits = Object.values(info.limits ?? {})
  const sane =
    /^\/(?!\/)[\w./~-]+$/.test(info.base ?? '') &&
    limits.length >= 6 &&
    limits.every((limit) => Number.isSafeInteger(limit) && limit > 0)
  if (!sane) return undefined
  if (info.api !== API_VERSION) {
    throw new CairnError(
      'REMOTE_FAILED',
      `the server speaks version ${info.api} of the protocol, this cairn version ${API_VERSION}`,
      {
        exit: 1,
        hint: 'Install the version of cairn that belongs to the server.',
      },
    )
  }
  return { ...info, capabilities: Array.isArray(info.capabilities) ? info.capabilities.map(String) : [] }
}
