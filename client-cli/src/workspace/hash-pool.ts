import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { workerScript } from '../io/worker-script.ts'
import { type HashJob, hashFile } from './hash-file.ts'
import type { HashAnswer } from './hash-worker.ts'

export interface SizedJob extends HashJob {
  size: number
}

export interface HashOptions {
  signal: AbortSignal
  /** Called in any order, with the position of the job in the list. */
  onHashed: (index: number, md5: string) => void
  onBytes?: (bytes: number) => void
}

/** A worker costs 25 ms and its messages; below this the main thread is done sooner. */
const WORTH_WORKERS_BYTES = 64 << 20
const BATCH_BYTES = 8 << 20
const MOST_WORKERS = 4

/** Hashes large files, on several cores when that pays. Rejects with the first system error; what runs is awaited first. */
export async function hashAll(jobs: readonly SizedJob[], options: HashOptions): Promise<void> {
  const bytes = jobs.reduce((sum, { size }) => sum + size, 0)
  const workers = Math.min(availableParallelism(), MOST_WORKERS, jobs.length)
  const script = workers > 1 && bytes >= WORTH_WORKERS_BYTES ? workerScript('hash-worker', import.meta.url) : undefined
  if (script === undefined) await hashHere(jobs, options)
  else await hashInWorkers(jobs, options, { script, workers })
}

async function hashHere(jobs: readonly SizedJob[], options: HashOptions): Promise<void> {
  for (const [index, job] of jobs.entries()) options.onHashed(index, await hashFile(job, options))
}

async function hashInWorkers(
  jobs: readonly SizedJob[],
  options: HashOptions,
  { script, workers }: { script: string; workers: number },
): Promise<void> {
  const batches = intoBatches(jobs)
  const stop = new AbortController()
  const results = await Promise.allSettled(
    Array.from({ length: workers }, async () => {
      try {
        await runWorker(script, jobs, batches, { ...options, signal: AbortSignal.any([options.signal, stop.signal]) })
      } catch (error) {
        stop.abort(error)
        throw error
      }
    }),
  )
  options.signal.throwIfAborted()
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw stop.signal.reason
}

/** Largest first, so that no core is left alone with the longest file. */
function intoBatches(jobs: readonly SizedJob[]): number[][] {
  const order = jobs.map((_, index) => index).sort((a, b) => (jobs[b]?.size ?? 0) - (jobs[a]?.size ?? 0))
  const batches: number[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const index of order) {
    const { size } = jobs[index] ?? { size: 0 }
    if (bytes + size > BATCH_BYTES) {
      batches.push([])
      bytes = 0
    }
    batches.at(-1)?.push(index)
    bytes += size
  }
  return batches.reverse()
}

async function runWorker(script: string, jobs: readonly SizedJob[], batches: number[][], options: HashOptions): Promise<void> {
  const worker = new Worker(script)
  try {
    for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) {
      options.signal.throwIfAborted()
      const answers = await ask(
        worker,
        batch.flatMap((index) => jobs[index] ?? []),
        options.signal,
      )
      for (const [at, index] of batch.entries()) {
        const answer = answers[at]
        if (!answer || !('md5' in answer)) throw systemError(answer)
        options.onBytes?.(jobs[index]?.size ?? 0)
        options.onHashed(index, answer.md5)
      }
    }
  } finally {
    await worker.terminate()
  }
}

function ask(worker: Worker, jobs: HashJob[], signal: AbortSignal): Promise<HashAnswer[]> {
  return new Promise((resolve, reject) => {
    const onAbort = () => settle(() => reject(signal.reason))
    const onMessage = (answers: HashAnswer[]) => settle(() => resolve(answers))
    const onError = (error: Error) => settle(() => reject(error))
    const onExit = (code: number) => settle(() => reject(new Error(`the hash worker ended with ${code}`)))
    const settle = (finish: () => void) => {
      signal.removeEventListener('abort', onAbort)
      worker.off('message', onMessage).off('error', onError).off('exit', onExit)
      finish()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    worker.on('message', onMessage).on('error', onError).on('exit', onExit)
    worker.postMessage(jobs)
  })
}

const systemError = (answer: { code: string; message: string } | undefined): Error =>
  Object.assign(new Error(answer?.message ?? 'the hash worker gave no answer'), { code: answer?.code ?? 'UNKNOWN' })
