import { CairnError } from '@cairn/protocol/error'
import { allows, type Scope } from '@cairn/protocol/scope'
import type { Catalog, TokenRow } from './ports/catalog.ts'
import type { Clock } from './ports/clock.ts'

/** Who presents a valid token, and what it may do. */
export interface Principal {
  token: TokenRow
}

export const reaches = (principal: Principal, slug: string): boolean => principal.token.projects?.includes(slug) ?? true

/** @throws CairnError FORBIDDEN */
export function requireScope(principal: Principal, scope: Scope): void {
  if (allows(principal.token.scopes, scope)) return
  throw new CairnError('FORBIDDEN', `token '${principal.token.name}' lacks the scope '${scope}'`, {
    hint: `It has: ${principal.token.scopes.join(', ')}. Ask an administrator for a token with '${scope}'.`,
  })
}

/** @throws CairnError FORBIDDEN unless the token is an administrator's for all projects */
export function requireServerAdmin(principal: Principal): void {
  requireScope(principal, 'admin')
  if (principal.token.projects === null) return
  throw new CairnError('FORBIDDEN', `token '${principal.token.name}' administers only some projects`, {
    hint: 'This needs an administrator of all projects.',
  })
}

/** Signs a token's id into the text its owner keeps, and back. */
export interface TokenCodec {
  sign(token: Pick<TokenRow, 'id' | 'createdAt' | 'expiresAt'>): string
  /** @throws CairnError UNAUTHENTICATED, TOKEN_EXPIRED */
  readId(secret: string): string
}

/** A revocation that no message told of is noticed this late. */
const CACHE_MILLISECONDS = 4000
const CACHE_ENTRIES = 10_000

export interface Principals {
  /** @throws CairnError UNAUTHENTICATED, TOKEN_EXPIRED, TOKEN_REVOKED */
  authenticate(secret: string): Promise<Principal>
  /** The next question about this token goes to the catalog. */
  forget(tokenId: string): void
  /** Writes down which tokens were used since the last call. */
  flushUse(): Promise<void>
}

export function createPrincipals(catalog: Catalog, codec: TokenCodec, clock: Clock): Principals {
  const cache = new Map<string, { row: Promise<TokenRow | undefined>; at: number }>()
  const ids = new Map<string, string>()
  const used = new Set<string>()

  // A signature that was good stays good: what may end, the row tells. The stock client sends one with each of its thousands of requests.
  const readId = (secret: string): string => {
    const known = ids.get(secret)
    if (known !== undefined) return known
    const id = codec.readId(secret)
    if (ids.size >= CACHE_ENTRIES) ids.clear()
    ids.set(secret, id)
    return id
  }

  const load = (id: string): Promise<TokenRow | undefined> => {
    const now = clock.now().getTime()
    const cached = cache.get(id)
    if (cached && now - cached.at < CACHE_MILLISECONDS) return cached.row
    const row = catalog.findToken(id)
    row.catch(() => cache.delete(id))
    if (cache.size >= CACHE_ENTRIES) cache.clear()
    cache.set(id, { row, at: now })
    return row
  }

  return {
    async authenticate(secret) {
      const id = readId(secret)
      const token = await load(id)
      if (!token) throw new CairnError('UNAUTHENTICATED', 'the token is unknown to this server')
      if (token.revokedAt)
        throw new CairnError('TOKEN_REVOKED', `token '${token.name}' was revoked`, {
          hint: 'Ask an administrator for a new one.',
        })
      if (token.expiresAt && token.expiresAt <= clock.now()) throw expired(token.name)
      used.add(id)
      return { token }
    },
    forget: (tokenId) => cache.delete(tokenId),
    async flushUse() {
      const touched = [...used]
      used.clear()
      if (touched.length > 0) await catalog.touchTokens(touched)
    },
  }
}

export function expired(name?: string): CairnError {
  return new CairnError('TOKEN_EXPIRED', name ? `token '${name}' has expired` : 'the token has expired', {
    hint: 'Ask an administrator for a new one.',
  })
}
