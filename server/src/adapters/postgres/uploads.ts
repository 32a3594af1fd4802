import type pg from 'pg'
import { type Digest, kindOf, md5Of } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import type { BlobDraft } from '../../domain/ports/blob-store.ts'
import type { Catalog, PartClaim, PartSender, UploadRow } from '../../domain/ports/catalog.ts'
import { digestOfRow } from './digest-array.ts'
import { inTransaction, type Queryable } from './pool.ts'

type Uploads = Pick<
  Catalog,
  | 'findStandingUpload'
  | 'openUpload'
  | 'findUpload'
  | 'listParts'
  | 'claimPart'
  | 'renewPart'
  | 'settlePart'
  | 'claimCompletion'
  | 'endCompletion'
  | 'removeUpload'
  | 'listIdleUploads'
  | 'listDrafts'
>

interface RawUpload {
  id: string
  projectId: number
  md5: string
  kind: number
  size: number
  partBytes: number
  key: string
  draft: string
}

const COLUMNS = 'id, project_id as "projectId", md5, kind, size, part_bytes as "partBytes", key, draft'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const IDLE = '(completing_until is null or completing_until < now())'

function uploadOf(row: RawUpload): UploadRow {
  const { id, projectId, size, partBytes, key } = row
  return { id, projectId, digest: digestOfRow(row), draft: { key, size, partBytes, id: row.draft } }
}

export function createUploadRows(pool: pg.Pool): Uploads {
  const changes = async (sql: string, values: unknown[]): Promise<boolean> => ((await pool.query(sql, values)).rowCount ?? 0) > 0

  return {
    findStandingUpload: (projectId, digest, size) => findStanding(pool, projectId, digest, size),
    openUpload: (projectId, digest, draft, most) =>
      inTransaction(pool, (client) => openUpload(client, projectId, digest, draft, most)),
    findUpload: async (projectId, uploadId) => {
      if (!UUID.test(uploadId)) return undefined
      const find = `select ${COLUMNS} from upload where id = $1 and project_id = $2`
      const [row] = (await pool.query<RawUpload>(find, [uploadId, projectId])).rows
      return row && uploadOf(row)
    },
    listParts: async (uploadId) => {
      const list = 'select number, receipt from upload_part where upload_id = $1 and receipt is not null order by number'
      return (await pool.query<{ number: number; receipt: string }>(list, [uploadId])).rows
    },
    claimPart: (part, leaseSeconds) => claimPart(pool, part, leaseSeconds),
    renewPart: ({ uploadId, number, sender }, leaseSeconds) =>
      changes(
        `update upload_part set claimed_until = now() + make_interval(secs => $4)
         where upload_id = $1 and number = $2 and sender = $3`,
        [uploadId, number, sender, leaseSeconds],
      ),
    settlePart: ({ uploadId, number, sender }, receipt) =>
      receipt === undefined
        ? changes('delete from upload_part where upload_id = $1 and number = $2 and sender = $3', [uploadId, number, sender])
        : changes(
            `with part as (
               update upload_part set receipt = $4, sender = null, claimed_until = null
               where upload_id = $1 and number = $2 and sender = $3 returning upload_id)
             update upload set progress_at = now() where id in (select upload_id from part)`,
            [uploadId, number, sender, receipt],
          ),
    claimCompletion: (uploadId, completer, leaseSeconds) =>
      changes(
        `update upload set completer = $2, completing_until = now() + make_interval(secs => $3)
         where id = $1 and (completer = $2 or ${IDLE})`,
        [uploadId, completer, leaseSeconds],
      ),
    endCompletion: async (uploadId, completer) => {
      const end = 'update upload set completer = null, completing_until = null where id = $1 and completer = $2'
      await pool.query(end, [uploadId, completer])
    },
    removeUpload: (uploadId, { completer, trash = false } = {}) =>
      changes(
        `with gone as (delete from upload where id = $1 and (completer = $2::uuid or ${IDLE}) returning key),
              trashed as (insert into trash (key) select key from gone where $3 on conflict (key) do nothing)
         select key from gone`,
        [uploadId, completer ?? null, trash],
      ),
    listIdleUploads: async (idleSeconds, limit) => {
      const list = `select ${COLUMNS} from upload where progress_at <= now() - make_interval(secs => $1) and ${IDLE}
                    order by progress_at limit $2` // index upload_progress
      return (await pool.query<RawUpload>(list, [idleSeconds, limit])).rows.map(uploadOf)
    },
    listDrafts: async () =>
      new Set((await pool.query<{ draft: string }>('select draft from upload')).rows.map(({ draft }) => draft)),
  }
}

async function findStanding(client: Queryable, projectId: number, digest: Digest, size: number): Promise<UploadRow | undefined> {
  const { rows } = await client.query<RawUpload>(
    `select ${COLUMNS} from upload where project_id = $1 and md5 = $2 and kind = $3 and size = $4`, // index upload_object
    [projectId, md5Of(digest), kindOf(digest), size],
  )
  return rows[0] && uploadOf(rows[0])
}

async function openUpload(
  client: Queryable,
  projectId: number,
  digest: Digest,
  draft: BlobDraft,
  most: number,
): Promise<UploadRow | 'full'> {
  const { rows } = await client.query<RawUpload>(
    `insert into upload (project_id, md5, kind, size, part_bytes, key, draft)
     select $1, $2, $3, $4, $5, $6, $7 where (select count(*) from upload where project_id = $1) < $8
     on conflict (project_id, md5, kind, size) do nothing returning ${COLUMNS}`,
    [projectId, md5Of(digest), kindOf(digest), draft.size, draft.partBytes, draft.key, draft.id, most],
  )
  if (rows[0]) return uploadOf(rows[0])
  return (await findStanding(client, projectId, digest, draft.size)) ?? 'full'
}

async function claimPart(pool: pg.Pool, { uploadId, number, sender }: PartSender, leaseSeconds: number): Promise<PartClaim> {
  const claimed = await tolerateGone(
    pool.query(
      `insert into upload_part (upload_id, number, sender, claimed_until)
     select id, $2, $3, now() + make_interval(secs => $4) from upload where id = $1
     on conflict (upload_id, number) do update set sender = excluded.sender, claimed_until = excluded.claimed_until
       where upload_part.receipt is null and upload_part.claimed_until < now()`,
      [uploadId, number, sender, leaseSeconds],
    ),
  )
  if (claimed === 1) return 'claimed'
  const { rows } = await pool.query<{ received: boolean | null }>(
    `select p.receipt is not null as received from upload u left join upload_part p on p.upload_id = u.id and p.number = $2
     where u.id = $1`,
    [uploadId, number],
  )
  if (rows.length === 0) return 'gone'
  return rows[0]?.received ? 'received' : 'busy'
}

/** foreign_key_violation: the upload was removed a moment ago. */
async function tolerateGone(query: Promise<pg.QueryResult>): Promise<number | null> {
  try {
    return (await query).rowCount
  } catch (error) {
    if (isCode(error, '23503')) return 0
    throw error
  }
}
