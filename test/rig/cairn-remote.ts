import type { RemoteInfo } from '@cairn/protocol/api'
import { createCairnRemote } from '../../client-cli/src/remote/cairn-remote.ts'
import { createHttpClient } from '../../client-cli/src/remote/http-client.ts'
import type { SourceCache } from '../../client-cli/src/remote/outgoing.ts'
import type { Remote } from '../../client-cli/src/remote/remote.ts'

export interface CairnOptions {
  /** Of the remote, as dvc writes it: with `/dvc/<project>`. */
  url: string
  token: string
  cache: SourceCache
  patienceSeconds?: number
  deltas?: boolean
}

/** A Cairn server's project as the client sees it. Close it. */
export async function openCairn({ url, token, cache, patienceSeconds, deltas }: CairnOptions): Promise<Remote> {
  const info = (await (await fetch(`${url}/.well-known/cairn`)).json()) as RemoteInfo
  const http = createHttpClient({
    base: url,
    credentials: { headers: { authorization: `Bearer ${token}` }, source: 'a test' },
    sockets: 8,
    ...(patienceSeconds !== undefined && { patienceSeconds }),
  })
  return createCairnRemote({ name: 'origin', url, info, http, cache, ...(deltas !== undefined && { deltas }) })
}
