import { parentPort } from 'node:worker_threads'
import { type HashJob, hashFileSync } from './hash-file.ts'

export type HashAnswer = { md5: string } | { code: string; message: string }

/** One batch in, one answer a job out, in order. */
parentPort?.on('message', (jobs: HashJob[]) => {
  const answers: HashAnswer[] = jobs.map((job) => {
    try {
      return { md5: hashFileSync(job) }
    } catch (error) {
      if (!(error instanceof Error)) throw error
      return { code: 'code' in error ? String(error.code) : 'UNKNOWN', message: error.message }
    }
  })
  parentPort?.postMessage(answers)
})
