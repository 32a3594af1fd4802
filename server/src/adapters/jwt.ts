import { CairnError } from '@cairn/protocol/error'
import jwt from 'jsonwebtoken'
import { expired, type TokenCodec } from '../domain/principal.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const MAX_SECRET = 4096

/** Tokens as JWT, HS256 and nothing else. Only the id is inside: rights live in the catalog, where they can be taken back. */
export function createJwtCodec(key: Uint8Array): TokenCodec {
  const secret = Buffer.from(key)
  return {
    sign({ id, createdAt, expiresAt }) {
      const claims = { jti: id, iat: seconds(createdAt), ...(expiresAt ? { exp: Math.ceil(expiresAt.getTime() / 1000) } : {}) }
      return jwt.sign(claims, secret, { algorithm: 'HS256' })
    },
    readId(text) {
      if (text.length > MAX_SECRET) throw invalid()
      try {
        const claims = jwt.verify(text, secret, { algorithms: ['HS256'] })
        if (typeof claims === 'object' && typeof claims.jti === 'string' && UUID.test(claims.jti)) return claims.jti
      } catch (error) {
        if (error instanceof jwt.TokenExpiredError) throw expired()
        if (!(error instanceof jwt.JsonWebTokenError)) throw error
      }
      throw invalid()
    },
  }
}

const seconds = (time: Date): number => Math.floor(time.getTime() / 1000)

function invalid(): CairnError {
  return new CairnError('UNAUTHENTICATED', 'the token was not made by this server', { hint: 'Log in again: `cairn login URL`.' })
}
