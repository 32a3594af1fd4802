import type pg from 'pg'
import type { Catalog } from '../../domain/ports/catalog.ts'

type ChunkLists = Pick<Catalog, 'findChunkList' | 'keepChunkList'>

export function createChunkLists(pool: pg.Pool): ChunkLists {
  return {
    findChunkList: async (objectId) => {
      const find = 'select chunks from chunk_list where object_id = $1'
      return (await pool.query<{ chunks: Buffer }>(find, [objectId])).rows[0]?.chunks
    },
    keepChunkList: async (objectId, packed) => {
      await pool.query(
        `insert into chunk_list (object_id, chunks)
         select id, $2 from object where id = $1 on conflict (object_id) do nothing`,
        [objectId, packed],
      )
    },
  }
}
