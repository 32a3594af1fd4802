import { availableParallelism } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { workerScript } from '../io/worker-script.ts'
import type { FollowedFile, FollowOn } from './follow-worker.ts'
import { createMd5, hashStretch } from './md5.ts'

/** Hashes a file while it is written, in order, as far as it is known to be there. Has to be closed. */
export interface Follower {
  /** `bytes` were written at `offset`, and everything before `prefix` is there now. */
  wrote(offset: number, bytes: Uint8Array, prefix: number): void
  /** The md5 of all `size` bytes, which are there. */
  finish(size: number): Promise<string>
  close(): void
}

export interface Followed extends FollowedFile {
  fd: number
  size: number
}

/** A worker costs 25 ms and 10 MiB; below this it is not worth them. */
const WORTH_WORKER_BYTES = 64 << 20
/** Between two messages to it. */
const STEP_BYTES = 2 << 20
/** At once while others wait for this thread. */
const CATCH_UP_BYTES = 4 << 20
const HEAP = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 }

/** In a thread of its own where that pays. */
export function follow(file: Followed): Follower {
  const script =
    file.size >= WORTH_WORKER_BYTES && availableParallelism() > 1 ? workerScript('follow-worker', import.meta.url) : undefined
  return script === undefined ? followHere(file) : followInWorker(file, script)
}

function followHere({ fd, legacy }: Followed): Follower {
  const md5 = createMd5({ legacy })
  let hashed = 0
  const catchUp = (end: number) => {
    hashed = hashStretch(fd, md5, { start: hashed, end: Math.min(end, hashed + CATCH_UP_BYTES) })
  }
  return {
    wrote(offset, bytes, prefix) {
      if (offset !== hashed) return catchUp(prefix)
      md5.update(bytes)
      hashed += bytes.length
    },
    async finish(size) {
      while (hashed < size) {
        catchUp(size)
        await setImmediate()
      }
      return md5.digest()
    },
    close: () => undefined,
  }
}

function followInWorker(file: Followed, script: string): Follower {
  const { path, legacy, size } = file
  const worker = new Worker(script, { workerData: { path, legacy } satisfies FollowedFile, resourceLimits: HEAP })
  const say = (message: FollowOn) => worker.postMessage(message)
  const hashed = new Promise<string | undefined>((resolve) => {
    worker.once('message', resolve)
    // Why it failed does not matter: this thread can do the same.
    worker.on('error', () => resolve(undefined)).once('exit', () => resolve(undefined))
  })
  let told = 0
  return {
    wrote(_offset, _bytes, prefix) {
      if (prefix - told < STEP_BYTES) return
      told = prefix
      say({ end: prefix, last: false })
    },
    async finish() {
      say({ end: size, last: true })
      return (await hashed) ?? followHere(file).finish(size)
    },
    close: () => void worker.terminate(),
  }
}
