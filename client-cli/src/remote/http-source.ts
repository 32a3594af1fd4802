import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import type { RemoteConfig } from '../repo/config.ts'
import type { Repo } from '../repo/repo.ts'
import { dvcCredentials, withAskedPassword } from './credentials.ts'
import { createHttpClient } from './http-client.ts'
import { askHead } from './http-head.ts'
import { ingest } from './ingest.ts'
import { connectionOptions } from './open.ts'
import type { UrlSource } from './url-source.ts'

/** One file behind an HTTP url. */
export async function httpSource(target: RemoteConfig, context: Context, repo: Repo | undefined): Promise<UrlSource> {
  const url = new URL(target.url)
  const credentials = dvcCredentials(url, await withAskedPassword(target), context.env)
  const connection = repo === undefined ? {} : connectionOptions(repo, target)
  const shown = new URL(url)
  shown.username = ''
  shown.password = ''
  const http = createHttpClient({ base: url.origin, credentials, sockets: 4, env: context.env, ...connection })
  const path = url.pathname + url.search
  return {
    url: shown.href,
    async look(signal) {
      const headers = await askHead(http, path, signal)
      if (headers === undefined) return undefined
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
