import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { releaseBlock } from '../domain/blocks.ts'
import type { SideHash } from '../domain/ports/side-hash.ts'
import type { HashOrder, HashReport } from './hash-thread/worker.ts'

/** On their way to the threads, of one hash: what a slow one holds in memory. */
const MOST_BLOCKS = 2

/** Makes hashes that two threads compute, one for each algorithm; they start at the first, and do not keep the program alive. */
export function createHashThreads(): () => SideHash {
  const threads = [createThread('md5'), createThread('sha256')] as const
  let ids = 0
  const create = (from?: Origin): SideHash => createSideHash(threads, ids++, { from, copy: create })
  return () => create()
}

/** Beside the bundle, or the source itself. */
function script(): string {
  const names = ['./hash-thread-worker.mjs', './hash-thread/worker.ts']
  const found = names.map((name) => fileURLToPath(new URL(name, import.meta.url))).find((file) => existsSync(file))
  if (found === undefined) throw new Error('the script of the hash threads is missing')
  return found
}

interface Listener {
  onReport: (report: HashReport) => void
  onFailure: (error: Error) => void
}

interface Thread {
  listen(id: number, listener: Listener): void
  leave(id: number): void
  send(order: HashOrder): void
}

function createThread(algorithm: string): Thread {
  const listeners = new Map<number, Listener>()
  let worker: Worker | undefined
  const start = (): Worker => {
    const fresh = new Worker(script(), { workerData: algorithm })
    fresh.unref()
    fresh.on('message', (report: HashReport) => listeners.get(report.id)?.onReport(report))
    const fail = (error: Error) => {
      // Its end follows its error, and the listeners may be those of the next by then.
      if (worker !== fresh) return
      worker = undefined
      for (const listener of listeners.values()) listener.onFailure(error)
      listeners.clear()
    }
    fresh.on('error', fail)
    fresh.on('exit', (code) => fail(new Error(`the thread that hashes ${algorithm} ended with ${code}`)))
    return fresh
  }
  return {
    listen: (id, listener) => void listeners.set(id, listener),
    leave: (id) => void listeners.delete(id),
    send: (order) => (worker ??= start()).postMessage(order),
  }
}

/** What a copy goes on from. */
interface Origin {
  id: number
  failure: Error | undefined
}

interface Lane {
  /** How many blocks it has hashed. */
  hashed: number
  digest: PromiseWithResolvers<Uint8Array>
}

function createSideHash(
  threads: readonly [Thread, Thread],
  id: number,
  { from, copy }: { from: Origin | undefined; copy: (from: Origin) => SideHash },
): SideHash {
  /** Those that not both have hashed yet, the oldest first. */
  const underWay: Uint8Array[] = []
  let released = 0
  let closed = false
  let failure = from?.failure
  let wake: (() => void) | undefined
  const lanes = threads.map((thread) => {
    const lane: Lane = { hashed: 0, digest: Promise.withResolvers() }
    lane.digest.promise.catch(() => undefined)
    if (failure) lane.digest.reject(failure)
    thread.listen(id, {
      onReport({ digest }) {
        if (digest) lane.digest.resolve(digest)
        else lane.hashed++
        progress()
      },
      onFailure(error) {
        failure = error
        lane.digest.reject(error)
        wake?.()
      },
    })
    return lane
  })
  const progress = () => {
    for (const done = Math.min(...lanes.map(({ hashed }) => hashed)); released < done; released++) {
      const block = underWay.shift()
      if (block) releaseBlock(block)
    }
    if (closed && underWay.length === 0) leave()
    wake?.()
  }
  const send = (order: HashOrder) => threads.forEach((thread) => thread.send(order))
  const leave = () => threads.forEach((thread) => thread.leave(id))
  if (from && !failure) send({ id, from: from.id })
  return {
    async update(block) {
      if (failure) throw failure
      underWay.push(block)
      send({ id, bytes: block })
      while (underWay.length >= MOST_BLOCKS && !failure) await new Promise<void>((resolve) => (wake = resolve))
    },
    async finish() {
      send({ id, end: true })
      try {
        const [md5, sha256] = await Promise.all([lanes[0]?.digest.promise, lanes[1]?.digest.promise])
        if (!md5 || !sha256) throw new Error('a hash without a digest')
        return { md5: Buffer.from(md5).toString('hex'), sha256 }
      } finally {
        leave()
      }
    },
    copy: () => copy({ id, failure }),
    close() {
      closed = true
      send({ id, forget: true })
      progress()
    },
  }
}
