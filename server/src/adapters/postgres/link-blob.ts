import type pg from 'pg'
import type { Digest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { LinkOutcome, NewObject } from '../../domain/ports/catalog.ts'
import { trashEmptyBlobs } from './blobs.ts'
import { BATCH, batches, compareDigests, digestArrays, digestOfRow, numberArray } from './digest-array.ts'
import { ChangedMeanwhile, inTransaction, type Queryable } from './pool.ts'

const FOREIGN_KEY_VIOLATION = '23503'

type NewState = 'live' | 'pending'

interface NewBlob {
  key: string
  size: number
  kind: 'single' | 'pack' | 'delta'
  bases?: readonly string[]
}

const KINDS = { single: 0, pack: 1, delta: 2 } as const

/**
 * Adds a blob with its objects: see the port. All batches insert before any batch repairs, each in digest order, so two
 * calls over the same digests wait for each other in one direction only; the unique index decides who stored.
 */
export async function linkBlob(
  pool: pg.Pool,
  projectId: number,
  blob: NewBlob,
  objects: readonly NewObject[],
  state: NewState,
): Promise<LinkOutcome[]> {
  const distinct = firstOfEach(objects)
  const sorted = [...distinct.values()].sort((a, b) => compareDigests(a.digest, b.digest))
  const plain = blob.bases === undefined && sorted.length > 0 && sorted.length <= BATCH
  if (plain && (await linkNew(pool, projectId, blob, sorted, state))) {
    const outcomes = new Map(sorted.map(({ digest }): [Digest, LinkOutcome] => [digest, 'stored']))
    return objects.map((object) => outcomeOf(object, distinct, outcomes))
  }
  return inTransaction(pool, async (client) => {
    const blobId = await insertBlob(client, projectId, blob)
    const outcomes = new Map<Digest, LinkOutcome>()
    for (const batch of batches(sorted)) await insertObjects(client, projectId, blobId, state, batch, outcomes)
    const standing = sorted.filter((object) => !outcomes.has(object.digest))
    const left: number[] = []
    for (const batch of batches(standing))
      left.push(...(await replaceUnreadable(client, projectId, blobId, state, batch, outcomes)))
    for (const batch of batches(standing.filter((object) => !outcomes.has(object.digest))))
      await compare(client, projectId, batch, outcomes)
    const gained = [...outcomes.values()].includes('stored')
    await trashEmptyBlobs(client, gained ? left : [...left, blobId])
    return objects.map((object) => outcomeOf(object, distinct, outcomes))
  })
}

function firstOfEach(objects: readonly NewObject[]): Map<Digest, NewObject> {
  const first = new Map<Digest, NewObject>()
  for (const object of objects) if (!first.has(object.digest)) first.set(object.digest, object)
  return first
}

/** A digest that stands twice in one blob is stored once. */
function outcomeOf(
  object: NewObject,
  distinct: ReadonlyMap<Digest, NewObject>,
  outcomes: ReadonlyMap<Digest, LinkOutcome>,
): LinkOutcome {
  const outcome = outcomes.get(object.digest)
  const first = distinct.get(object.digest)
  if (outcome === undefined || first === undefined) throw new ChangedMeanwhile()
  if (object === first) return outcome
  if (outcome === 'conflict') return 'conflict'
  return Buffer.compare(object.sha256, first.sha256) === 0 ? 'exists' : 'conflict'
}

async function insertBlob(client: Queryable, projectId: number, blob: NewBlob): Promise<number> {
  // A key in the trash still waits for its deletion, which would hit the new bytes.
  const { rows } = await client.query<{ id: number }>(
    `insert into blob (project_id, key, size, kind)
     select $1, $2, $3, $4 where not exists (select from trash where key = $2) returning id`,
    [projectId, blob.key, blob.size, KINDS[blob.kind]],
  )
  const id = rows[0]?.id
  if (id === undefined) throw new Error(`the storage key ${blob.key} was used before`)
  if (blob.bases) await holdBases(client, id, blob.bases)
  return id
}

/**
 * Locked as `trashEmptyBlobs` locks them, before the foreign key locks them for reading: of two that only read, each would
 * wait for the other when both come to give up a delta that somebody else was quicker with.
 */
async function holdBases(client: Queryable, blobId: number, keys: readonly string[]): Promise<void> {
  const bases = [...new Set(keys)]
  const gone = (cause?: unknown) =>
    new CairnError('BASE_UNKNOWN', 'a blob that the delta builds on is gone', cause === undefined ? {} : { cause })
  await client.query('select from blob where key = any ($1::text[]) order by id for update', [bases])
  try {
    const insert = 'insert into blob_base (blob_id, base_id) select $1, id from blob where key = any ($2::text[]) order by id'
    const { rowCount } = await client.query(insert, [blobId, bases])
    if (rowCount !== bases.length) throw gone()
  } catch (error) {
    throw isCode(error, FOREIGN_KEY_VIOLATION) ? gone(error) : error
  }
}

/** A batch as `x (md5, kind, size, blob_offset, place, sha256)`, in its order; its five parameters start at number `first`. */
const batchFrom = (first: number): string => `(
  select y.*, substr($${first + 4}::bytea, ((y.place - 1) * 32 + 1)::int, 32) as sha256
  from unnest($${first}::uuid[], $${first + 1}::smallint[], $${first + 2}::bigint[], $${first + 3}::bigint[])
    with ordinality as y (md5, kind, size, blob_offset, place)) as x`

function batchParameters(batch: readonly NewObject[]): unknown[] {
  return [
    ...digestArrays(batch.map((object) => object.digest)),
    numberArray(batch.map((object) => object.size)),
    numberArray(batch.map((object) => object.offset)),
    Buffer.concat(batch.map((object) => object.sha256)),
  ]
}

/** What the last line below raises when somebody else stored one of the objects in the same moment. */
const DIVISION_BY_ZERO = '22012'

/**
 * The usual case, where nothing of the blob is known yet, in one statement that is its own transaction; otherwise it does
 * nothing and gives false.
 */
async function linkNew(
  pool: pg.Pool,
  projectId: number,
  blob: NewBlob,
  sorted: readonly NewObject[],
  state: NewState,
): Promise<boolean> {
  try {
    const { rows } = await pool.query<{ added: number | null }>({
      name: 'link-new',
      text: `with x as materialized (select * from ${batchFrom(6)}),
       known as (
         select from x cross join lateral (
           select from object o where o.project_id = $1 and o.md5 = x.md5 and o.kind = x.kind limit 1) as o limit 1),
       b as (
         insert into blob (project_id, key, size, kind)
         select $1, $2, $3::bigint, $4::smallint
         where not exists (select from known) and not exists (select from trash where key = $2) returning id),
       added as (
         insert into object (project_id, blob_id, state, md5, kind, size, blob_offset, sha256)
         select $1, b.id, $5::object_state, x.md5, x.kind, x.size, x.blob_offset, x.sha256 from b, x
         order by x.place on conflict (project_id, md5, kind) do nothing returning 1)
       -- All or nothing: an object that another transaction added meanwhile undoes the statement.
       select case when exists (select from b) then 1 / ((select count(*) from added) = (select count(*) from x))::int end as added`,
      values: [projectId, blob.key, blob.size, blob.kind === 'pack' ? 1 : 0, state, ...batchParameters(sorted)],
    })
    return rows[0]?.added === 1
  } catch (error) {
    if (isCode(error, DIVISION_BY_ZERO, '40P01')) return false
    throw error
  }
}

type Found = { md5: string; kind: number }

async function insertObjects(
  client: Queryable,
  projectId: number,
  blobId: number,
  state: NewState,
  batch: readonly NewObject[],
  outcomes: Map<Digest, LinkOutcome>,
): Promise<void> {
  const { rows } = await client.query<Found>(
    `insert into object (project_id, blob_id, state, md5, kind, size, blob_offset, sha256)
     select $1, $2, $3::object_state, x.md5, x.kind, x.size, x.blob_offset, x.sha256 from ${batchFrom(4)}
     -- Without this the conflicts would use up ids, which are dense for the sake of bitmaps.
     where not exists (select from object o where o.project_id = $1 and o.md5 = x.md5 and o.kind = x.kind)
     order by x.place on conflict (project_id, md5, kind) do nothing returning md5, kind`,
    [projectId, blobId, state, ...batchParameters(batch)],
  )
  for (const row of rows) outcomes.set(digestOfRow(row), 'stored')
}

/** Lets damaged and pending rows point to the new blob; returns the blobs that they left. */
async function replaceUnreadable(
  client: Queryable,
  projectId: number,
  blobId: number,
  state: NewState,
  batch: readonly NewObject[],
  outcomes: Map<Digest, LinkOutcome>,
): Promise<number[]> {
  const { rows } = await client.query<Found & { left: number }>(
    `with stale as (
       select o.id, o.blob_id, x.blob_offset
       from ${batchFrom(4)} join object o on o.project_id = $1 and o.md5 = x.md5 and o.kind = x.kind
       where o.state <> 'live' and o.sha256 = x.sha256
       order by o.md5, o.kind for update of o)
     update object o set state = $3::object_state, blob_id = $2, blob_offset = stale.blob_offset, damaged_at = null
     from stale where o.id = stale.id returning o.md5, o.kind, stale.blob_id as left`,
    [projectId, blobId, state, ...batchParameters(batch)],
  )
  for (const row of rows) outcomes.set(digestOfRow(row), 'stored')
  return rows.map((row) => row.left)
}

/** What stands already: the same bytes, or others under the same md5. */
async function compare(
  client: Queryable,
  projectId: number,
  batch: readonly NewObject[],
  outcomes: Map<Digest, LinkOutcome>,
): Promise<void> {
  const { rows } = await client.query<Found & { same: boolean; live: boolean }>(
    `select o.md5, o.kind, o.sha256 = x.sha256 as same, o.state = 'live' as live
     from ${batchFrom(2)}
     join object o on o.project_id = $1 and o.md5 = x.md5 and o.kind = x.kind`,
    [projectId, ...batchParameters(batch)],
  )
  // A row that went, or stopped being live, since the statements before: decide anew.
  if (rows.length < batch.length || rows.some((row) => row.same && !row.live)) throw new ChangedMeanwhile()
  for (const row of rows) outcomes.set(digestOfRow(row), row.same ? 'exists' : 'conflict')
}
