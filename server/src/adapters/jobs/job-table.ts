import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import type { JobQueue, JobRow, JobType } from '../../domain/ports/job-queue.ts'

export type NewJob = NonNullable<Parameters<JobQueue['enqueue']>[1]>

/** A job that this worker holds: only who presents `worker` may write to the row. */
export interface Claim {
  job: JobRow
  worker: string
}

/** A job that waits, as a carrier needs to know it. */
export interface Waiting {
  id: string
  type: JobType
  runAt: Date
}

/** The channel on which an added job rings. */
export const CHANNEL = 'cairn_job'

const COLUMNS = `id::text, type, payload, state, attempt, created_at as "createdAt", finished_at as "finishedAt", progress, error`

/** What a claim, and the loss of one, do to the row. */
const CLAIM = `state = 'running', attempt = attempt + 1, worker = $1, lease_until = now() + make_interval(secs => $2), error = null`
const UNCLAIM = 'worker = null, lease_until = null, carried_at = null'

export type JobTable = ReturnType<typeof createJobTable>

/** The job table: every transition of a job's row, each a single statement. */
export function createJobTable(pool: pg.Pool) {
  return {
    /** Adds a job, or finds the one of the same type and key that stands; `added` is undefined then. */
    add: (type: JobType, job: NewJob): Promise<{ id: string; added?: Waiting }> => add(pool, type, job),

    /** Takes up to `limit` due jobs, the longest due first; those that others are taking are passed by. */
    claim: async (types: readonly string[], limit: number, leaseSeconds: number): Promise<Claim[]> => {
      const worker = randomUUID()
      const { rows } = await pool.query<JobRow>(
        `update job set ${CLAIM}
         where id in (
           select id from job where state = 'queued' and run_at <= now() and type = any ($3::text[])
           order by run_at, id limit $4 for update skip locked) -- index job_due
         returning ${COLUMNS}`,
        [worker, leaseSeconds, types, limit],
      )
      return rows.map((job) => ({ job, worker }))
    },

    /** Takes one job that a carrier brought; undefined when it is not waiting any more. A carrier's clock may be ahead by seconds. */
    claimOne: async (id: string, leaseSeconds: number): Promise<Claim | undefined> => {
      const worker = randomUUID()
      const { rows } = await pool.query<JobRow>(
        `update job set ${CLAIM} where id = $3 and state = 'queued' and run_at <= now() + interval '5 seconds' returning ${COLUMNS}`,
        [worker, leaseSeconds, id],
      )
      const job = rows[0]
      return job && { job, worker }
    },

    /** Extends the lease and keeps the progress; false when the claim was lost. */
    renew: async ({ job, worker }: Claim, leaseSeconds: number, progress?: Record<string, unknown>): Promise<boolean> => {
      const { rowCount } = await pool.query(
        `update job set lease_until = now() + make_interval(secs => $3), progress = coalesce($4::jsonb, progress)
         where id = $1 and worker = $2 and state = 'running'`,
        [job.id, worker, leaseSeconds, progress === undefined ? null : JSON.stringify(progress)],
      )
      return rowCount === 1
    },

    finish: async ({ job, worker }: Claim): Promise<void> => {
      await pool.query(
        `update job set state = 'done', finished_at = now(), ${UNCLAIM} where id = $1 and worker = $2 and state = 'running'`,
        [job.id, worker],
      )
    },

    /** Puts the job back to be tried again in `retrySeconds`, or ends it as failed after its last attempt. */
    fail: async ({ job, worker }: Claim, error: string, retrySeconds: number): Promise<void> => {
      await pool.query(
        `update job set error = $3, ${UNCLAIM},
           state = case when attempt < max_attempts then 'queued' else 'failed' end,
           finished_at = case when attempt < max_attempts then null else now() end,
           run_at = now() + make_interval(secs => $4)
         where id = $1 and worker = $2 and state = 'running'`,
        [job.id, worker, error.slice(0, 2000), retrySeconds],
      )
    },

    /** Puts back a job whose runner stops; that was no attempt. */
    release: async ({ job, worker }: Claim): Promise<void> => {
      await pool.query(
        `with released as (
           update job set state = 'queued', attempt = attempt - 1, run_at = now(), ${UNCLAIM}
           where id = $1 and worker = $2 and state = 'running' returning id)
         select pg_notify('${CHANNEL}', '') from released`,
        [job.id, worker],
      )
    },

    /** Puts back the jobs whose worker died; those out of attempts have failed. */
    takeOver: async (): Promise<void> => {
      await pool.query(
        `update job set ${UNCLAIM}, run_at = now(),
           state = case when attempt < max_attempts then 'queued' else 'failed' end,
           finished_at = case when attempt < max_attempts then null else now() end,
           error = 'the worker died or lost its lease'
         where id in (
           select id from job where state = 'running' and lease_until < now() for update skip locked)`, // index job_lease
      )
    },

    /** Milliseconds until the next job is due; undefined when none waits. */
    nextDue: async (types: readonly string[]): Promise<number | undefined> => {
      const { rows } = await pool.query<{ ms: number | null }>(
        `select (extract(epoch from min(run_at) - now()) * 1000)::float8 as ms from job where state = 'queued' and type = any ($1::text[])`,
        [types],
      )
      return rows[0]?.ms ?? undefined
    },

    /** Jobs that no carrier has, or that one may have lost: handed over and due a minute ago, and still waiting. */
    findUncarried: async (limit: number): Promise<Waiting[]> => {
      const { rows } = await pool.query<Waiting>(
        `select id::text, type, run_at as "runAt" from job
         where state = 'queued' and (carried_at is null or greatest(carried_at, run_at) < now() - interval '1 minute')
         order by run_at, id limit $1`,
        [limit],
      )
      return rows
    },

    markCarried: async (ids: readonly string[]): Promise<void> => {
      await pool.query(`update job set carried_at = now() where id = any ($1::bigint[]) and state = 'queued'`, [ids])
    },

    markUncarried: async (ids: readonly string[]): Promise<void> => {
      await pool.query('update job set carried_at = null where id = any ($1::bigint[])', [ids])
    },

    /** The record of what ended is kept for thirty days. */
    forgetOld: async (): Promise<void> => {
      await pool.query(`delete from job where state in ('done', 'failed') and finished_at < now() - interval '30 days'`)
    },

    find: async (id: string): Promise<JobRow | undefined> => {
      if (!/^\d{1,18}$/.test(id)) return undefined
      return (await pool.query<JobRow>(`select ${COLUMNS} from job where id = $1`, [id])).rows[0]
    },

    list: async (limit: number): Promise<JobRow[]> =>
      (await pool.query<JobRow>(`select ${COLUMNS} from job order by job.id desc limit $1`, [limit])).rows,
  }
}

async function add(
  pool: pg.Pool,
  type: JobType,
  { key, payload, runAt, maxAttempts }: NewJob,
): Promise<{ id: string; added?: Waiting }> {
  for (;;) {
    const { rows } = await pool.query<Waiting>(
      `with added as (
         insert into job (type, key, payload, run_at, max_attempts)
         values ($1, $2, $3, coalesce($4::timestamptz, now()), coalesce($5::int, 5))
         on conflict (type, key) where state in ('queued', 'running') do nothing -- index job_standing
         returning id, type, run_at)
       select id::text, type, run_at as "runAt", pg_notify('${CHANNEL}', '') from added`,
      [type, key ?? null, JSON.stringify(payload ?? {}), runAt ?? null, maxAttempts ?? null],
    )
    const added = rows[0]
    if (added) return { id: added.id, added: { id: added.id, type: added.type, runAt: added.runAt } }
    const standing = await pool.query<{ id: string }>(
      `select id::text from job where type = $1 and key = $2 and state in ('queued', 'running')`,
      [type, key],
    )
    const id = standing.rows[0]?.id
    // None: the standing one ended between the two statements, so there is room for a new one.
    if (id !== undefined) return { id }
  }
}
