export type JobType = 'scrub' | 'expire-sessions' | 'expire-uploads'

export interface JobRow {
  id: string
  type: JobType
  payload: Record<string, unknown>
  state: 'queued' | 'running' | 'done' | 'failed'
  attempt: number
  createdAt: Date
  finishedAt: Date | null
  progress: Record<string, unknown> | null
  error: string | null
}

export interface JobContext {
  job: JobRow
  /** Aborts when the runner stops or the lease was lost: stop soon, the job will run again. */
  signal: AbortSignal
  /** Stores progress and renews the lease. */
  progress(value: Record<string, unknown>): Promise<void>
}

export type JobHandler = (context: JobContext) => Promise<void>

/**
 * At-least-once jobs. A row in `job` is the record, whoever carries it. A handler may run twice and must be idempotent.
 */
export interface JobQueue {
  /**
   * Adds a job to run at `runAt` or at once. While a job of the same type and key is queued or running, no second one is
   * added and the standing one's id is returned.
   */
  enqueue(
    type: JobType,
    options?: { key?: string; payload?: Record<string, unknown>; runAt?: Date; maxAttempts?: number },
  ): Promise<string>
  /**
   * Runs jobs until the signal aborts, then waits for those in hand. A job whose handler throws is tried again after a
   * growing pause until `maxAttempts` (default 5), then it is `failed`. One whose worker died is taken over when its lease
   * (default 30 s) has lapsed.
   */
  run(handlers: Readonly<Record<JobType, JobHandler>>, options: { concurrency: number; signal: AbortSignal }): Promise<void>
  find(id: string): Promise<JobRow | undefined>
  list(limit: number): Promise<JobRow[]>
  close(): Promise<void>
}
