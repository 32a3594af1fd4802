import type { IncomingMessage } from 'node:http'
import { CairnError } from '@cairn/protocol/error'
import type { Principal, Principals } from '../domain/principal.ts'

/**
 * The token of a request: `Bearer TOKEN`, `Basic` with the token as the password of any user, or the bare token, which is
 * what a stock client sends when its user left out the word.
 */
export function presentedToken(req: IncomingMessage): string | undefined {
  const header = req.headers.authorization?.trim()
  if (!header) return undefined
  const [scheme = '', rest] = header.split(/\s+/, 2)
  if (rest === undefined) return scheme
  if (scheme.toLowerCase() === 'bearer') return rest
  if (scheme.toLowerCase() !== 'basic') return undefined
  const pair = Buffer.from(rest, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  if (colon < 0) return undefined
  // Some write "Bearer TOKEN" where only a password is asked for.
  return pair.slice(colon + 1).replace(/^Bearer\s+/i, '')
}

/** @throws CairnError UNAUTHENTICATED, TOKEN_EXPIRED, TOKEN_REVOKED */
export async function authenticate(req: IncomingMessage, principals: Principals): Promise<Principal> {
  const secret = presentedToken(req)
  if (!secret)
    throw new CairnError('UNAUTHENTICATED', 'no token was presented', {
      hint: 'Log in with `cairn login URL`, or set CAIRN_TOKEN.',
    })
  return principals.authenticate(secret)
}
