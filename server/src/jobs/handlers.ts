import { expireUploads } from '../domain/expire-uploads.ts'
import { expire } from '../domain/expire.ts'
import type { JobHandler, JobType } from '../domain/ports/job-queue.ts'
import { NEW_SCRUB, scrub, type ScrubProgress } from '../domain/scrub.ts'
import type { Stores } from '../domain/stores.ts'

/** What each type of job does, whoever carries it. Each may be run twice. */
export function createHandlers(stores: Stores): Readonly<Record<JobType, JobHandler>> {
  return {
    async scrub({ job, signal, progress }) {
      const onProgress = (value: ScrubProgress) => progress({ ...value })
      const result = await scrub(stores, { from: readScrub(job.progress), signal, onProgress })
      await progress({ ...result })
    },
    async 'expire-sessions'({ signal, progress }) {
      await progress(await expire(stores, signal))
    },
    async 'expire-uploads'({ signal, progress }) {
      await progress(await expireUploads(stores, signal))
    },
  }
}

/** Where an earlier attempt of the same job came to. */
function readScrub(progress: Record<string, unknown> | null): ScrubProgress {
  const { afterId, blobs, objects, bytes, damaged } = { ...NEW_SCRUB, ...progress }
  const all = { afterId, blobs, objects, bytes, damaged }
  return Object.values(all).every((value) => typeof value === 'number') ? all : NEW_SCRUB
}
