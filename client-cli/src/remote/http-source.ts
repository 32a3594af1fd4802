import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import type { RemoteConfig } from '../repo/config.ts'
import type { Repo } from '../repo/repo.ts'
import { dvcCredentials, withAskedPassword } from './credentials.ts'
import { createHttpClient } from './http-client.ts'
import { ingest } from './ingest.ts'
import { connectionOptions } from './open.ts'
import type { UrlSource } from './url-source.ts'

const ABSENT = [404, 410]
const NO_HEAD = [405, 501]

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
