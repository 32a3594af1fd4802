import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../domain/ports/clock.ts'
import type { JobQueue, JobType } from '../domain/ports/job-queue.ts'

interface Rhythm {
  type: JobType
  minutes: number
  /** Minutes after midnight UTC. */
  offset: number
}

const RHYTHMS: readonly Rhythm[] = [
  { type: 'expire-sessions', minutes: 10, offset: 0 },
  { type: 'expire-uploads', minutes: 60, offset: 5 },
  { type: 'scrub', minutes: 24 * 60, offset: 3 * 60 },
]
const LOOK_MILLISECONDS = 60_000
const MINUTE = 60_000

/** The next time of a rhythm after `now`. Pure; the same on every replica. */
export function nextTime(now: Date, rhythm: Pick<Rhythm, 'minutes' | 'offset'>): Date {
  const period = rhythm.minutes * MINUTE
  const offset = rhythm.offset * MINUTE
  return new Date((Math.floor((now.getTime() - offset) / period) + 1) * period + offset)
}

/** Keeps one job of each rhythm waiting for its time. Replicas do the same; the queue keeps one. */
export async function keepSchedule(
  jobs: JobQueue,
  clock: Clock,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    for (const rhythm of RHYTHMS) {
      try {
        await jobs.enqueue(rhythm.type, { key: 'schedule', runAt: nextTime(clock.now(), rhythm) })
      } catch (error) {
        onError(error)
      }
    }
    await sleep(LOOK_MILLISECONDS, undefined, { signal }).catch(() => undefined)
  }
}
