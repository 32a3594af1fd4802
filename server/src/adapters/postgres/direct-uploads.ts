import type pg from 'pg'
import type { Catalog, DirectUpload } from '../../domain/ports/catalog.ts'
import { digestArrays, digestOfRow, numberArray } from './digest-array.ts'
import { inTransaction } from './pool.ts'

type DirectUploads = Pick<Catalog, 'addDirectUploads' | 'findDirectUploads' | 'removeDirectUploads' | 'expireDirectUploads'>

export function createDirectUploads(pool: pg.Pool): DirectUploads {
  return {
    addDirectUploads: async (projectId, uploads) => {
      await pool.query(
        `insert into direct_upload (project_id, id, md5, kind, size, sha256, key)
         select $1, x.* from unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[], $6::bytea[], $7::text[]) as x`,
        [
          projectId,
          uploads.map((upload) => upload.id),
          ...digestArrays(uploads.map((upload) => upload.digest)),
          numberArray(uploads.map((upload) => upload.size)),
          uploads.map((upload) => Buffer.from(upload.sha256)),
          uploads.map((upload) => upload.key),
        ],
      )
    },
    findDirectUploads: async (projectId, ids) => {
      const { rows } = await pool.query<Omit<DirectUpload, 'digest'> & { md5: string; kind: number }>(
        'select id, md5, kind, size, sha256, key from direct_upload where project_id = $1 and id = any ($2::uuid[])',
        [projectId, ids],
      )
      return rows.map(({ md5, kind, ...row }) => ({ ...row, digest: digestOfRow({ md5, kind }) }))
    },
    removeDirectUploads: async (ids) => {
      await pool.query('delete from direct_upload where id = any ($1::uuid[])', [ids])
    },
    expireDirectUploads: (olderThanSeconds) => inTransaction(pool, (client) => expire(client, olderThanSeconds)),
  }
}

/** A key that some blob has was linked by a commit that ended before it could remove its row. */
async function expire(client: pg.PoolClient, olderThanSeconds: number): Promise<number> {
  const { rows } = await client.query<{ key: string }>(
    'delete from direct_upload where created_at <= now() - make_interval(secs => $1) returning key', // index direct_upload_age
    [olderThanSeconds],
  )
  const { rowCount } = await client.query(
    `insert into trash (key) select x.key from unnest($1::text[]) as x (key)
     where not exists (select from blob b where b.key = x.key) on conflict (key) do nothing`,
    [rows.map((row) => row.key)],
  )
  return rowCount ?? 0
}
