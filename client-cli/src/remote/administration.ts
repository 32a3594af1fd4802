import type { CreatedToken, Project, Token, TokenRequest, Whoami } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import type { HttpClient } from './http-client.ts'

/** The requests of a server that are about no objects. They throw what HttpClient throws. */
export interface Administration {
  whoami(signal: AbortSignal): Promise<Whoami>
  createToken(request: TokenRequest, signal: AbortSignal): Promise<CreatedToken>
  listTokens(signal: AbortSignal): Promise<Token[]>
  revokeToken(id: string, signal: AbortSignal): Promise<void>
  createProject(slug: string, signal: AbortSignal): Promise<Project>
  listProjects(signal: AbortSignal): Promise<Project[]>
}

export function createAdministration(http: HttpClient): Administration {
  const get = <T>(path: string, signal: AbortSignal) => http.json<T>({ method: 'GET', path: `/api/v1/${path}`, signal })
  const post = <T>(path: string, body: unknown, signal: AbortSignal) => {
    const bytes = Buffer.from(JSON.stringify(body))
    return http.json<T>({
      method: 'POST',
      path: `/api/v1/${path}`,
      headers: { 'content-type': 'application/json' },
      body: () => bytes,
      signal,
    })
  }
  return {
    async whoami(signal) {
      const answer = await get<Partial<Whoami>>('whoami', signal)
      if (!answer.token || !answer.server)
        throw new CairnError('REMOTE_FAILED', `${http.base.origin} is not a Cairn server`, { exit: 1 })
      return { token: answer.token, server: answer.server }
    },
    createToken: (request, signal) => post('tokens', request, signal),
    listTokens: async (signal) => (await get<{ tokens: Token[] }>('tokens', signal)).tokens,
    revokeToken: (id, signal) =>
      http.send({ method: 'DELETE', path: `/api/v1/tokens/${encodeURIComponent(id)}`, signal }, () => Promise.resolve()),
    createProject: (slug, signal) => post('projects', { slug }, signal),
    listProjects: async (signal) => (await get<{ projects: Project[] }>('projects', signal)).projects,
  }
}
