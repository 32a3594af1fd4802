import type { Concurrency } from './concurrency.ts'

/** Moves something and resolves with the bytes moved. */
export type Task = () => Promise<number>

/**
 * Runs tasks, as many at once as the controller says, and tells it of each. A task is taken from its source only when it may
 * start. After the first failure no further one starts; it rejects with that failure once those under way have settled.
 */
export async function inParallel(tasks: Iterable<Task>, concurrency: Concurrency): Promise<void> {
  const underway = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined
  const start = async (task: Task) => {
    try {
      concurrency.arrived(await task(), performance.now())
    } catch (error) {
      failure ??= { error }
    }
  }
  try {
    for (const task of tasks) {
      const running = start(task).finally(() => underway.delete(running))
      underway.add(running)
      while (underway.size >= concurrency.limit) await Promise.race(underway)
      if (failure) break
    }
  } finally {
    await Promise.all(underway)
  }
  if (failure) throw failure.error
}
