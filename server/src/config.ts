import path from 'node:path'
import { MAX_TREE_BYTES } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import { MAX_PACK_BYTES } from '@cairn/protocol/pack'

export interface S3Config {
  endpoint: string
  /** Where clients reach the bucket. */
  publicEndpoint: string
  bucket: string
  region: string
  accessKey: string
  secretKey: string
}

/** Who may be sent to the bucket, where that was found to work. */
export interface DirectPolicy {
  /** Clients of ours, which come back when the bucket is out of their reach. */
  clients: boolean
  /** Downloads of stock clients, which do not. */
  stockDownloads: boolean
}

/** All in bytes, seconds and numbers of requests. */
export interface Limits {
  objectBytes: number
  packBytes: number
  treeBytes: number
  jsonBytes: number
  /** No byte of a body for so long: 408. A reader that takes nothing for so long is cut off. */
  bodyIdleSeconds: number
  /** What the bodies in flight may hold in memory, as estimated when they are let in; with a bucket, three tenths of it are for parts on their way there. */
  bytesInFlight: number
  requestsInFlight: number
  /** What small objects and trees may take in memory. */
  cacheBytes: number
  shutdownSeconds: number
}

export interface Config {
  /** Everything of the embedded parts lives below it. */
  home: string
  host: string
  port: number
  /** How people reach the server, without a slash at its end. */
  publicUrl: string | undefined
  databaseUrl: string | undefined
  redisUrl: string | undefined
  s3: S3Config | undefined
  direct: DirectPolicy
  logLevel: string
  signingKey: Uint8Array | undefined
  /** Whether `serve` also runs jobs. */
  jobs: boolean
  limits: Limits
}

const MIB = 1024 * 1024

export const DEFAULT_LIMITS: Limits = {
  objectBytes: 1024 * 1024 * MIB,
  packBytes: MAX_PACK_BYTES,
  treeBytes: MAX_TREE_BYTES,
  jsonBytes: 16 * MIB,
  bodyIdleSeconds: 60,
  bytesInFlight: 320 * MIB,
  requestsInFlight: 256,
  cacheBytes: 64 * MIB,
  shutdownSeconds: 30,
}

type Env = Readonly<Record<string, string | undefined>>

/** Reads the environment, which nothing else in the server does. @throws CairnError CONFIG */
export function readConfig(env: Env = process.env): Config {
  return {
    home: path.resolve(env['CAIRN_HOME'] || 'var'),
    host: env['HOST'] || '127.0.0.1',
    port: readNumber(env, 'PORT', 8787, 65_535),
    publicUrl: env['CAIRN_URL']?.replace(/\/+$/, '') || undefined,
    databaseUrl: env['DATABASE_URL'] || undefined,
    redisUrl: env['REDIS_URL'] || undefined,
    s3: readS3(env),
    direct: readDirect(env),
    logLevel: readLevel(env),
    signingKey: readKey(env),
    jobs: env['CAIRN_JOBS'] !== 'off',
    limits: {
      ...DEFAULT_LIMITS,
      objectBytes: readNumber(env, 'CAIRN_MAX_OBJECT_BYTES', DEFAULT_LIMITS.objectBytes),
      treeBytes: Math.min(MAX_TREE_BYTES, readNumber(env, 'CAIRN_MAX_TREE_BYTES', DEFAULT_LIMITS.treeBytes)),
      bodyIdleSeconds: readNumber(env, 'CAIRN_BODY_IDLE_SECONDS', DEFAULT_LIMITS.bodyIdleSeconds),
      bytesInFlight: readNumber(env, 'CAIRN_BYTES_IN_FLIGHT', DEFAULT_LIMITS.bytesInFlight),
      requestsInFlight: readNumber(env, 'CAIRN_REQUESTS_IN_FLIGHT', DEFAULT_LIMITS.requestsInFlight),
      cacheBytes: readNumber(env, 'CAIRN_CACHE_BYTES', DEFAULT_LIMITS.cacheBytes),
      shutdownSeconds: readNumber(env, 'CAIRN_SHUTDOWN_SECONDS', DEFAULT_LIMITS.shutdownSeconds),
    },
  }
}

function readNumber(env: Env, name: string, fallback: number, max = Number.MAX_SAFE_INTEGER): number {
  const text = env[name]
  if (!text) return fallback
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > max)
    throw new CairnError('CONFIG', `${name} is '${text}' and must be a whole number up to ${max}`)
  return value
}

function readS3(env: Env): S3Config | undefined {
  const endpoint = env['S3_ENDPOINT']
  if (!endpoint) return undefined
  const wanted = (name: string): string => {
    const value = env[name]
    if (!value) throw new CairnError('CONFIG', `S3_ENDPOINT is set and ${name} is not`)
    return value
  }
  return {
    endpoint,
    publicEndpoint: readEndpoint(env['S3_PUBLIC_ENDPOINT']) ?? endpoint,
    bucket: wanted('S3_BUCKET'),
    region: env['S3_REGION'] || 'us-east-1',
    accessKey: wanted('S3_ACCESS_KEY'),
    secretKey: wanted('S3_SECRET_KEY'),
  }
}

function readEndpoint(text: string | undefined): string | undefined {
  if (!text) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && /^https?:$/.test(url.protocol) && url.pathname === '/') return url.origin
  throw new CairnError('CONFIG', `S3_PUBLIC_ENDPOINT is '${text}' and must be http(s)://host[:port]`)
}

/** A name without a dot means something inside of one network only: whoever wants clients to use it says so. */
function readDirect(env: Env): DirectPolicy {
  const choice = env['CAIRN_DIRECT'] || (namesOneNetwork(env) ? 'off' : 'on')
  if (!['on', 'off', 'stock'].includes(choice))
    throw new CairnError('CONFIG', `CAIRN_DIRECT is '${choice}' and must be on, off or stock`)
  return { clients: choice !== 'off', stockDownloads: choice === 'stock' }
}

function namesOneNetwork(env: Env): boolean {
  if (env['S3_PUBLIC_ENDPOINT'] || !env['S3_ENDPOINT'] || !URL.canParse(env['S3_ENDPOINT'])) return false
  const { hostname } = new URL(env['S3_ENDPOINT'])
  return hostname !== 'localhost' && !/[.:]/.test(hostname)
}

function readLevel(env: Env): string {
  const level = env['CAIRN_LOG_LEVEL'] || 'info'
  const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
  if (!levels.includes(level))
    throw new CairnError('CONFIG', `CAIRN_LOG_LEVEL is '${level}' and must be one of ${levels.join(', ')}`)
  return level
}

function readKey(env: Env): Uint8Array | undefined {
  const text = env['CAIRN_SIGNING_KEY']
  if (!text) return undefined
  if (text.length < 32)
    throw new CairnError('CONFIG', 'CAIRN_SIGNING_KEY has fewer than 32 characters', {
      hint: 'Make one with `openssl rand -hex 32`.',
    })
  return new TextEncoder().encode(text)
}
