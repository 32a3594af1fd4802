import type { JobHandler } from '../../domain/ports/job-queue.ts'
import type { Claim, JobTable } from './job-table.ts'

export interface RunJobOptions {
  signal: AbortSignal
  leaseSeconds: number
  /** The pause before the next attempt, in seconds, after the given one (1, 2, …) failed. */
  retrySeconds: (attempt: number) => number
  log: (line: string) => void
}

/** 2, 4, 8 … seconds up to ten minutes, each up to a fifth longer so that jobs that failed together do not return together. */
export function growingPause(attempt: number): number {
  return Math.min(2 ** attempt, 600) * (1 + Math.random() / 5)
}

/**
 * Runs a claimed job to its end and writes the outcome into its row; renews the lease meanwhile. Never rejects: what cannot
 * be written is left to the lease, which lapses.
 */
export async function runJob(table: JobTable, claim: Claim, handler: JobHandler, options: RunJobOptions): Promise<void> {
  const lost = new AbortController()
  const signal = AbortSignal.any([options.signal, lost.signal])
  const stopHeartbeat = startHeartbeat(table, claim, lost, options)
  const { type, id, attempt } = claim.job
  try {
    await handler({
      job: claim.job,
      signal,
      progress: async (value) => {
        if (!(await table.renew(claim, options.leaseSeconds, value))) lost.abort(leaseLost(id))
      },
    })
    // A handler may return early when told to stop, so a run that was told so proves nothing: it is done again.
    await (signal.aborted ? table.release(claim) : table.finish(claim))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    if (!signal.aborted) options.log(`job ${id} (${type}), attempt ${attempt}: ${reason}`)
    const written = signal.aborted ? table.release(claim) : table.fail(claim, reason, options.retrySeconds(attempt))
    await written.catch((failure: unknown) => options.log(`job ${id} (${type}): its outcome was not written: ${String(failure)}`))
  } finally {
    stopHeartbeat()
  }
}

/** Renews at each third of the lease; aborts `lost` when another worker has the job, or may have it since the database is away. */
function startHeartbeat(table: JobTable, claim: Claim, lost: AbortController, { leaseSeconds }: RunJobOptions): () => void {
  let renewed = Date.now()
  const beat = async (): Promise<void> => {
    const asked = Date.now()
    try {
      if (await table.renew(claim, leaseSeconds)) renewed = asked
      else lost.abort(leaseLost(claim.job.id))
    } catch {
      if (Date.now() - renewed > leaseSeconds * 1000) lost.abort(leaseLost(claim.job.id))
    }
  }
  const timer = setInterval(() => void beat(), (leaseSeconds * 1000) / 3)
  return () => clearInterval(timer)
}

const leaseLost = (id: string): Error => new Error(`job ${id}: its lease was lost`)
