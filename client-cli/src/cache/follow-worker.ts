import { closeSync, openSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { createMd5, hashStretch } from './md5.ts'

/** What the worker is started with. */
export interface FollowedFile {
  path: string
  legacy: boolean
}

/** Hash on to `end`; with `last`, answer with the md5 of what was hashed, and end. */
export interface FollowOn {
  end: number
  last: boolean
}

const { path, legacy } = workerData as FollowedFile
// The file may get another name meanwhile.
const fd = openSync(path, 'r')
const md5 = createMd5({ legacy })
let hashed = 0

parentPort?.on('message', ({ end, last }: FollowOn) => {
  hashed = hashStretch(fd, md5, { start: hashed, end })
  if (!last) return
  closeSync(fd)
  parentPort?.postMessage(md5.digest())
  parentPort?.close()
})
