import type { Digest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { Repo } from '../repo/repo.ts'
import type { RemoteConfig } from '../repo/config.ts'
import { schemeOf } from '../repo/config-schema.ts'
import { dvcCredentials, withAskedPassword } from './credentials.ts'
import { createHttpClient } from './http-client.ts'
import { ingest } from './ingest.ts'
import { connectionOptions, resolveRemote } from './open.ts'

/** What stands behind a url. */
export interface UrlLook {
  folder: boolean
  /** Relative to the url; a single file is ''. */
  files: ReadonlyArray<{ path: string; size: number | undefined; etag?: string | undefined }>
  size: number | undefined
  /** The storage's own name for this content: S3 calls it `etag`, HTTP `checksum`. */
  etag?: string | undefined
  checksum?: string | undefined
  /** Of a folder: what dvc makes of the names and etags in it. */
  digest?: Digest | undefined
}

/** A file or folder outside of any repository, read only. Close it. */
export interface UrlSource {
  /** As it is shown: without credentials. */
  url: string
  /** undefined when there is nothing. */
  look(signal: AbortSignal): Promise<UrlLook | undefined>
  /** Takes one of its files into the cache. */
  bring(file: string, cache: ObjectCache, signal: AbortSignal): Promise<{ digest: Digest; size: number }>
  close(): Promise<void>
}

/** `remote://NAME/sub` is looked up among the repository's remotes. @throws CairnError CONFIG */
export function locateUrl(repo: Repo | undefined, url: string): RemoteConfig {
  const named = /^remote:\/\/([^/]+)(\/.*)?$/.exec(url)
  if (!named?.[1]) return { name: url, url, options: {} }
  if (repo === undefined) throw new CairnError('CONFIG', `'${url}' names a remote, and this is no repository`)
  const parent = resolveRemote(repo, repo.config.remote(named[1]))
  return { ...parent, url: `${parent.url.replace(/\/$/, '')}${named[2] ?? ''}` }
}

/** A url of http(s) or s3; `undefined` for a path of this machine. @throws CairnError for any other scheme */
export async function openUrlSource(
  target: RemoteConfig,
  context: Context,
  repo: Repo | undefined,
): Promise<UrlSource | undefined> {
  const scheme = schemeOf(target.url)
  if (scheme === undefined) return undefined
  if (scheme === 'http' || scheme === 'https') return httpSource(target, context, repo)
  if (scheme === 's3') return (await import('./s3-source.ts')).bucketSource(target, context)
  throw new CairnError('FAILED', `'${target.url}': ${scheme}:// is not supported`, {
    hint: 'cairn reads paths, http://, https:// and s3://.',
  })
}

const ABSENT = [404, 410]
const NO_HEAD = [405, 501]

async function httpSource(target: RemoteConfig, context: Context, repo: Repo | undefined): Promise<UrlSource> {
  const url = new URL(target.url)
  const credentials = dvcCredentials(url, await withAskedPassword(target), context.env)
  const connection = repo === undefined ? {} : connectionOptions(repo, target)
  const shown = new URL(url)
  shown.username = ''
  shown.password = ''
  const http = createHttpClient({ base: url.origin, credentials, sockets: 4, env: context.env, ...connection })
  const path = url.pathname + url.search
  const ask = (method: 'HEAD' | 'GET', signal: AbortSignal) =>
    http.send({ method, path, signal, accept: [...ABSENT, ...NO_HEAD] }, (answer) =>
      Promise.resolve({ status: answer.statusCode ?? 0, headers: answer.headers }),
    )
  return {
    url: shown.href,
    async look(signal) {
      const first = await ask('HEAD', signal)
      const { status, headers } = NO_HEAD.includes(first.status) ? await ask('GET', signal) : first
      if (ABSENT.includes(status)) return undefined
      const length = headers['content-length']
      const size = length === undefined ? undefined : Number(length)
      const md5 = headers['content-md5']
      return { folder: false, files: [{ path: '', size }], size, checksum: headers.etag ?? (md5 ? String(md5) : undefined) }
    },
    async bring(_file, cache, signal) {
      const download = await http.download({ path, signal })
      if (!download) throw new CairnError('FAILED', `'${shown.href}' does not exist`)
      return ingest(cache, download.bytes, signal)
    },
    close: () => Promise.resolve(http.close()),
  }
}
