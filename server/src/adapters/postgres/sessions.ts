import type pg from 'pg'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Catalog, SessionRow } from '../../domain/ports/catalog.ts'
import { trashEmptyBlobs } from './blobs.ts'
import { distinctIds, packIds } from './id-list.ts'
import { inTransaction, type Queryable } from './pool.ts'

type Sessions = Pick<Catalog, 'openSession' | 'renewSession' | 'addLease' | 'closeSession' | 'expireSessions'>

const COLUMNS = 'id, project_id as "projectId", expires_at as "expiresAt"'
/** What follows is committed without waiting for the disk: a crash of the database may take it back, with whatever came after it. */
const SOON = `with soon as materialized (select set_config('synchronous_commit', 'off', true))`
const ADD_LEASE = 'insert into lease (session_id, objects) values ($1, $2)'
const ADD_LEASE_SOON = `${SOON}
  insert into lease (session_id, objects) select $1, $2 from soon`
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function createSessions(pool: pg.Pool): Sessions {
  return {
    openSession: async (projectId, tokenId, intent, lifetimeSeconds) => {
      const { rows } = await pool.query<SessionRow>(
        `${SOON}
         insert into session (project_id, token_id, intent, expires_at)
         select $1, $2, $3, now() + make_interval(secs => $4) from soon returning ${COLUMNS}`,
        [projectId, tokenId, intent, lifetimeSeconds],
      )
      const session = rows[0]
      if (session === undefined) throw new Error('an inserted session has no row')
      return session
    },
    renewSession: async (projectId, sessionId, lifetimeSeconds) => {
      if (!UUID.test(sessionId)) return undefined
      const { rows } = await pool.query<SessionRow>(
        `${SOON}
         update session set expires_at = greatest(expires_at, now() + make_interval(secs => $3)) from soon
         where id = $1 and project_id = $2 and expires_at > now() returning ${COLUMNS}`,
        [sessionId, projectId, lifetimeSeconds],
      )
      return rows[0]
    },
    addLease: async (sessionId, objectIds, { lasting } = { lasting: true }) => {
      if (objectIds.length === 0) return
      try {
        await pool.query(lasting ? ADD_LEASE : ADD_LEASE_SOON, [sessionId, packIds(distinctIds(objectIds))])
      } catch (error) {
        // foreign_key_violation: the session expired a moment ago.
        if (isCode(error, '23503')) throw new CairnError('SESSION_UNKNOWN', `session ${sessionId} has expired`, { cause: error })
        throw error
      }
    },
    closeSession: async (sessionId) => {
      if (UUID.test(sessionId)) await pool.query('delete from session where id = $1', [sessionId])
    },
    expireSessions: () => inTransaction(pool, expireSessions),
  }
}

/** A pending tree waits for the push sessions of its project that were open when it was sent, and for no later one. */
async function expireSessions(client: Queryable): Promise<{ sessions: number; trees: number }> {
  const expired = await client.query('delete from session where expires_at <= now()')
  const { rows } = await client.query<{ blobId: number }>(
    `delete from object o using blob b
     where o.state = 'pending' and b.id = o.blob_id and not exists (
       select from session s where s.project_id = o.project_id and s.intent = 'push' and s.created_at <= b.created_at)
     returning o.blob_id as "blobId"`,
  )
  await trashEmptyBlobs(
    client,
    rows.map((row) => row.blobId),
  )
  return { sessions: expired.rowCount ?? 0, trees: rows.length }
}
