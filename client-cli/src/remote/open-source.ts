import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import type { RemoteConfig } from '../repo/config.ts'
import { schemeOf } from '../repo/config-schema.ts'
import type { Repo } from '../repo/repo.ts'
import { httpSource } from './http-source.ts'
import { resolveRemote } from './open.ts'
import type { UrlSource } from './url-source.ts'

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
