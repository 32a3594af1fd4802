import type pg from 'pg'
import type { Digest } from '@cairn/protocol/digest'
import { createBatching } from '../../domain/batching.ts'
import type { Catalog, ObjectRow } from '../../domain/ports/catalog.ts'
import { batches, digestArrays, digestOfRow } from './digest-array.ts'
import { linkBlob } from './link-blob.ts'
import { findMissing } from './missing.ts'
import { OBJECT_COLUMNS, objectOf, type RawObject } from './object-row.ts'

type Objects = Pick<Catalog, 'findObjects' | 'findMissing' | 'linkBlob' | 'listDamaged'>

export function createObjects(pool: pg.Pool): Objects {
  const lookUp = createLookup(pool)
  return {
    findObjects: (projectId, digests) =>
      digests.length <= LOOKUP_DIGESTS ? lookUp(projectId, digests) : findObjects(pool, projectId, digests),
    findMissing: (projectId, packed) => findMissing(pool, projectId, packed),
    linkBlob: (projectId, blob, objects, options) => linkBlob(pool, projectId, blob, objects, options?.state ?? 'live'),
    listDamaged: async (projectId) => {
      const { rows } = await pool.query<{ md5: string; kind: number; size: number; foundAt: Date }>(
        `select md5, kind, size, damaged_at as "foundAt" from object
         where project_id = $1 and state = 'damaged' order by damaged_at, id`, // index object_not_live
        [projectId],
      )
      return rows.map((row) => ({ digest: digestOfRow(row), size: row.size, foundAt: row.foundAt }))
    },
  }
}

/** Questions up to here share a round trip with others. */
const LOOKUP_DIGESTS = 32
const LOOKUP_LANES = 2
const LOOKUP_MEMBERS = 500

interface Lookup {
  projectId: number
  digests: readonly Digest[]
}

/** Small questions wait for each other while a query is under way: a stock client asks for each object by itself. */
function createLookup(pool: pg.Pool): Objects['findObjects'] {
  const batching = createBatching<Lookup, ObjectRow[]>({
    lanes: LOOKUP_LANES,
    members: LOOKUP_MEMBERS,
    run: (batch) => answerLookups(pool, batch),
  })
  return (projectId, digests) => batching.add({ projectId, digests })
}

async function answerLookups(pool: pg.Pool, batch: readonly Lookup[]): Promise<ObjectRow[][]> {
  const found = new Map<number, Map<Digest, ObjectRow>>()
  for (const projectId of new Set(batch.map((lookup) => lookup.projectId))) {
    const digests = new Set(batch.flatMap((lookup) => (lookup.projectId === projectId ? lookup.digests : [])))
    const rows = await queryObjects(pool, projectId, [...digests], 'look-up')
    found.set(projectId, new Map(rows.map((row) => [row.digest, row])))
  }
  return batch.map(({ projectId, digests }) => {
    const rows = found.get(projectId)
    return [...new Set(digests)].flatMap((digest) => rows?.get(digest) ?? [])
  })
}

async function findObjects(pool: pg.Pool, projectId: number, digests: readonly Digest[]): Promise<ObjectRow[]> {
  const found: ObjectRow[] = []
  for (const batch of batches([...new Set(digests)])) {
    for (const row of await queryObjects(pool, projectId, batch)) found.push(row)
  }
  return found
}

/** @param digests without doubles. `name`: parsed and planned once a connection */
async function queryObjects(pool: pg.Pool, projectId: number, digests: readonly Digest[], name?: string): Promise<ObjectRow[]> {
  const { rows } = await pool.query<RawObject>({
    ...(name === undefined ? {} : { name }),
    // One search of object_digest for each: a plan that is kept may be older than most of the rows.
    text: `select o.* from unnest($2::uuid[], $3::smallint[]) as x (md5, kind)
       cross join lateral (
         select ${OBJECT_COLUMNS}
         from object o join blob b on b.id = o.blob_id left join tree t on t.object_id = o.id
         where o.project_id = $1 and o.md5 = x.md5 and o.kind = x.kind limit 1) as o`,
    values: [projectId, ...digestArrays(digests)],
  })
  return rows.map(objectOf)
}
