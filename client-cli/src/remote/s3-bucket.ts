import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { Client } from 'minio'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { RemoteConfig } from '../repo/config.ts'
import { askCredentialProcess, type AwsKeys, type AwsProfile, readProfile } from './aws-profile.ts'
import type { Env } from '../command.ts'

/** One folder of a bucket, and how to talk to it. */
export interface S3Bucket {
  bucket: string
  /** Before every key: '' or with a `/` at its end. */
  prefix: string
  client(): Promise<Client>
}

/** The S3 client's package is loaded with the first request: it costs an eighth of a second. @throws CairnError CONFIG */
export function openBucket(config: RemoteConfig, env: Env): S3Bucket {
  const url = new URL(config.url)
  const path = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '')
  if (url.hostname === '') throw new CairnError('CONFIG', `remote '${config.name}': '${config.url}' names no bucket`)
  refuseUnheeded(config)
  const settings = settingsOf(config, env)
  let loading: Promise<Client> | undefined
  return { bucket: url.hostname, prefix: path === '' ? '' : `${path}/`, client: () => (loading ??= loadClient(settings)) }
}

/** Options of stock dvc that say how objects are protected or filed: not heeding them in silence would store them otherwise than asked. */
const UNHEEDED =
  /^(sse|sse_kms_key_id|sse_customer_(algorithm|key)|acl|grant_(read|read_acp|write_acp|full_control)|version_aware|worktree)$/

function refuseUnheeded({ name, options }: RemoteConfig): void {
  const unheeded = Object.keys(options).filter((option) => UNHEEDED.test(option) && !/^false$/i.test(options[option] ?? ''))
  if (unheeded.length === 0) return
  throw new CairnError('CONFIG', `remote '${name}': cairn does not know how to heed ${unheeded.join(', ')}`, {
    hint: 'Use stock dvc for this remote, or set them as defaults of the bucket and remove them here.',
  })
}

interface Settings {
  endpoint: URL
  region: string
  /** Without keys requests are not signed. */
  keys: AwsKeys | (() => Promise<AwsKeys>)
  verify: boolean
  ca: string | undefined
}

async function loadClient(settings: Settings): Promise<Client> {
  const { endpoint, region, keys, verify, ca } = settings
  const { Client: S3 } = await loadPackage()
  const { accessKey, secretKey, sessionToken } = typeof keys === 'function' ? await keys() : keys
  const useSSL = endpoint.protocol === 'https:'
  const { Agent } = useSSL ? https : http
  const trust = useSSL ? { rejectUnauthorized: verify, ...(ca !== undefined && { ca }) } : {}
  return new S3({
    endPoint: endpoint.hostname.replace(/^\[|\]$/g, ''),
    ...(endpoint.port === '' ? {} : { port: Number(endpoint.port) }),
    useSSL,
    region,
    accessKey,
    secretKey,
    ...(sessionToken !== undefined && { sessionToken }),
    transportAgent: new Agent({ keepAlive: true, maxSockets: 64, ...trust }),
  })
}

async function loadPackage(): Promise<typeof import('minio')> {
  try {
    return await import('minio')
  } catch (cause) {
    if (!isCode(cause, 'MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND')) throw cause
    throw new CairnError('CONFIG', 'this cairn is a single file, and S3 needs the installed one', { cause })
  }
}

/** As stock dvc finds them: the remote's options, then the environment, then the profile in the shared credentials file. */
function settingsOf({ name, options }: RemoteConfig, env: Env): Settings {
  const profile = readProfile(options, env)
  const region = options['region'] ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? profile['region'] ?? 'us-east-1'
  const scheme = /^false$/i.test(options['use_ssl'] ?? '') ? 'http' : 'https'
  const host = region === 'us-east-1' ? 's3.amazonaws.com' : `s3.${region}.amazonaws.com`
  const elsewhere = env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'] ?? profile['endpoint_url']
  const endpoint = options['endpointurl'] ?? elsewhere ?? `${scheme}://${host}`
  if (!URL.canParse(endpoint)) throw new CairnError('CONFIG', `remote '${name}': endpointurl '${endpoint}' is no url`)
  const trust = options['ssl_verify']
  const isPath = trust !== undefined && !/^(true|false)$/i.test(trust)
  return {
    endpoint: new URL(endpoint),
    region,
    keys: keysOf(options, env, profile),
    verify: !/^false$/i.test(trust ?? ''),
    ca: isPath ? readFileSync(trust, 'utf8') : undefined,
  }
}

/** From one place only: the remote's options, the environment unless the remote names a profile, the profile, its program. */
function keysOf(options: RemoteConfig['options'], env: Env, profile: AwsProfile): Settings['keys'] {
  const keys = (accessKey = '', secretKey = '', sessionToken?: string): AwsKeys => ({ accessKey, secretKey, sessionToken })
  if (/^true$/i.test(options['allow_anonymous_login'] ?? '')) return keys()
  const own = options['access_key_id']
  if (own !== undefined) return keys(own, options['secret_access_key'], options['session_token'])
  if (env['AWS_ACCESS_KEY_ID'] !== undefined && options['profile'] === undefined)
    return keys(env['AWS_ACCESS_KEY_ID'], env['AWS_SECRET_ACCESS_KEY'], env['AWS_SESSION_TOKEN'])
  const program = profile['credential_process']
  if (profile['aws_access_key_id'] === undefined && program !== undefined) return () => askCredentialProcess(program)
  return keys(profile['aws_access_key_id'], profile['aws_secret_access_key'], profile['aws_session_token'])
}

/** The keys below a folder of the place, whole. */
export async function* listKeys(
  { client, bucket, prefix }: S3Bucket,
  below: string,
  signal: AbortSignal,
): AsyncGenerator<{ key: string; size: number; etag: string | undefined }> {
  try {
    const listed = (await client()).listObjectsV2(bucket, prefix + below, true)
    for await (const { name, size, etag } of listed as AsyncIterable<{ name?: string; size: number; etag?: string }>) {
      signal.throwIfAborted()
      if (name !== undefined) yield { key: name, size, etag }
    }
  } catch (error) {
    throw signal.aborted ? error : s3Error(error, `s3://${bucket}`)
  }
}

/** S3's refusal in our words. */
export function s3Error(error: unknown, what: string): Error {
  if (error instanceof CairnError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const words = error instanceof Error ? error.message : String(error)
  const unreachable = /^E[A-Z]+$/.test(code)
  return new CairnError(
    unreachable ? 'UNREACHABLE' : 'REMOTE_FAILED',
    `${what}: ${words || code || 'the bucket refuses, and gives no reason'}`,
    {
      exit: 1,
      cause: error,
      ...(/AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch/.test(code) && {
        hint: "Set access_key_id and secret_access_key with 'cairn remote modify --local', or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
      }),
    },
  )
}

export const isMissing = (error: unknown): boolean => isCode(error, 'NotFound', 'NoSuchKey')
