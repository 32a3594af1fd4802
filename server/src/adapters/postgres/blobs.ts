import type pg from 'pg'
import type { Catalog } from '../../domain/ports/catalog.ts'
import { batches, numberArray } from './digest-array.ts'
import { OBJECT_COLUMNS, objectOf, type RawObject } from './object-row.ts'
import type { Queryable } from './pool.ts'

type Blobs = Pick<Catalog, 'listBlobs' | 'markVerified' | 'listTrash' | 'removeTrash'>

export function createBlobs(pool: pg.Pool): Blobs {
  return {
    listBlobs: (afterId, limit) => listBlobs(pool, afterId, limit),
    markVerified: async (blobIds) => {
      for (const batch of batches(blobIds)) {
        await pool.query('update blob set verified_at = now() where id = any ($1::bigint[])', [numberArray(batch)])
      }
    },
    listTrash: async (olderThanSeconds, limit) => {
      const { rows } = await pool.query<{ id: number; key: string }>(
        'select id, key from trash where at <= now() - make_interval(secs => $1) order by at, id limit $2', // index trash_at
        [olderThanSeconds, limit],
      )
      return rows
    },
    removeTrash: async (ids) => {
      for (const batch of batches(ids)) await pool.query('delete from trash where id = any ($1::bigint[])', [numberArray(batch)])
    },
  }
}

type Listed = Awaited<ReturnType<Catalog['listBlobs']>>

async function listBlobs(pool: pg.Pool, afterId: number, limit: number): Promise<Listed> {
  const { rows: blobs } = await pool.query<Omit<Listed[number], 'objects'>>(
    'select id, project_id as "projectId", key, size from blob where id > $1 order by id limit $2',
    [afterId, limit],
  )
  const listed: Listed = blobs.map((blob) => ({ ...blob, objects: [] }))
  const byId = new Map(listed.map((blob) => [blob.id, blob]))
  const { rows: objects } = await pool.query<RawObject>(
    `select ${OBJECT_COLUMNS} from object o join blob b on b.id = o.blob_id left join tree t on t.object_id = o.id
     where o.blob_id = any ($1::bigint[]) order by o.blob_id, o.blob_offset, o.id`, // index object_blob
    [numberArray([...byId.keys()])],
  )
  for (const row of objects) byId.get(row.blobId)?.objects.push(objectOf(row))
  return listed
}

/**
 * Moves those of the blobs that hold no object any more, and that no other blob is made of, to the trash; then those of
 * their bases for which that was the last use. The rows are locked first and looked at in a statement of its own, so two
 * transactions that each take a blob's last but one object cannot both leave it standing.
 */
export async function trashEmptyBlobs(client: Queryable, blobIds: Iterable<number>): Promise<void> {
  let ids = [...new Set(blobIds)]
  while (ids.length > 0) {
    const list = numberArray(ids)
    await client.query('select from blob where id = any ($1::bigint[]) order by id for update', [list])
    const { rows } = await client.query<{ id: number }>(
      `with empty as (
         delete from blob b where id = any ($1::bigint[]) and not exists (select from object o where o.blob_id = b.id)
           and not exists (select from blob_base d where d.base_id = b.id) returning id, key), -- index blob_base_base
       trashed as (insert into trash (key) select key from empty)
       select distinct d.base_id as id from blob_base d join empty on empty.id = d.blob_id`,
      [list],
    )
    ids = rows.map((row) => row.id)
  }
}
