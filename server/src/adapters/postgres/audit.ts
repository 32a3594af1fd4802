import type pg from 'pg'
import type { AuditRow, Catalog } from '../../domain/ports/catalog.ts'

type Audit = Pick<Catalog, 'audit' | 'listAudit'>

/** The table refuses updates and deletes by itself. */
export function createAudit(pool: pg.Pool): Audit {
  return {
    audit: async ({ action, tokenId, project, detail }) => {
      await pool.query('insert into audit_event (action, token_id, project, detail) values ($1, $2, $3, $4)', [
        action,
        tokenId ?? null,
        project ?? null,
        JSON.stringify(detail ?? {}),
      ])
    },
    listAudit: async ({ limit, before }) => {
      const { rows } = await pool.query<AuditRow>(
        `select id, at, action, token_id as "tokenId", project, detail from audit_event
         where $2::bigint is null or id < $2 order by id desc limit $1`,
        [limit, before ?? null],
      )
      return rows
    },
  }
}
