import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import type { Catalog, TokenRow } from '../../domain/ports/catalog.ts'
import { listen } from './listen.ts'

type Tokens = Pick<
  Catalog,
  'createToken' | 'findToken' | 'listTokens' | 'revokeToken' | 'touchTokens' | 'signingKey' | 'watchRevocations'
>

const COLUMNS = `id, name, projects, scopes, created_at as "createdAt", expires_at as "expiresAt", revoked_at as "revokedAt",
  last_used_at as "lastUsedAt"`
const CHANNEL = 'cairn_revoked'

export function createTokens(pool: pg.Pool, listenConfig: pg.ClientConfig): Tokens {
  return {
    createToken: async ({ id, name, projects, scopes, expiresAt }) => {
      const { rows } = await pool.query<TokenRow>(
        `insert into token (id, name, projects, scopes, expires_at) values ($1, $2, $3, $4, $5) returning ${COLUMNS}`,
        [id, name, projects, scopes, expiresAt],
      )
      const token = rows[0]
      if (token === undefined) throw new Error('an inserted token has no row')
      return token
    },
    findToken: async (id) => (await pool.query<TokenRow>(`select ${COLUMNS} from token where id = $1`, [id])).rows[0],
    listTokens: async () => (await pool.query<TokenRow>(`select ${COLUMNS} from token order by created_at, id`)).rows,
    revokeToken: async (id) => {
      const { rowCount } = await pool.query(
        `with revoked as (update token set revoked_at = coalesce(revoked_at, now()) where id = $1 returning id)
         select pg_notify('${CHANNEL}', id) from revoked`,
        [id],
      )
      return rowCount === 1
    },
    touchTokens: async (ids) => {
      await pool.query(
        `update token set last_used_at = now()
         where id = any ($1::text[]) and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
        [ids],
      )
    },
    signingKey: () => signingKey(pool),
    watchRevocations: (onRevoked, signal) => watchRevocations(pool, listenConfig, onRevoked, signal),
  }
}

/** The first replica's key stays; the others read it. */
async function signingKey(pool: pg.Pool): Promise<Uint8Array> {
  const select = (): Promise<pg.QueryResult<{ key: Buffer }>> =>
    pool.query<{ key: Buffer }>('select key from signing_key where id = 1')
  const standing = (await select()).rows[0]
  if (standing) return standing.key
  await pool.query('insert into signing_key (id, key) values (1, $1) on conflict (id) do nothing', [randomBytes(32)])
  const made = (await select()).rows[0]
  if (made === undefined) throw new Error('the signing key was not stored')
  return made.key
}

/** What was revoked while the connection was down is read when it is up again: a notification reaches only who listens. */
async function watchRevocations(
  pool: pg.Pool,
  config: pg.ClientConfig,
  onRevoked: (tokenId: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await listen(config, CHANNEL, {
    signal,
    onMessage: onRevoked,
    onListening: async (silentSeconds) => {
      const { rows } = await pool.query<{ id: string }>(
        'select id from token where revoked_at > now() - make_interval(secs => $1)', // index token_revoked
        [silentSeconds + 60],
      )
      for (const { id } of rows) onRevoked(id)
    },
  })
}
