import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { SideHash } from '../domain/ports/side-hash.ts'
import type { HashOrder, HashReport } from './hash-thread/worker.ts'

/** On their way to the thread, of one hash: what a slow one holds in memory. */
const MOST_CHUNKS = 16

/** Makes hashes that a thread of its own computes; it starts at the first, and does not keep the program alive. */
export function createHashThread(): () => SideHash {
  const thread = createThread()
  let ids = 0
  return () => createSideHash(thread, ids++)
}

/** Beside the bundle, or the source itself. */
function script(): string {
  const names = ['./hash-thread-worker.mjs', './hash-thread/worker.ts']
  const found = names.map((name) => fileURLToPath(new URL(name, import.meta.url))).find((file) => existsSync(file))
  if (found === undefined) throw new Error('the script of the hash thread is missing')
  return found
}

interface Listener {
  onReport: (report: HashReport) => void
  onFailure: (error: Error) => void
}

interface Thread {
  listen(id: number, listener: Listener): void
  leave(id: number): void
  send(order: HashOrder, transfer?: ArrayBuffer[]): void
}

function createThread(): Thread {
  const listeners = new Map<number, Listener>()
  let worker: Worker | undefined
  const start = (): Worker => {
    const fresh = new Worker(script())
    fresh.unref()
    fresh.on('message', (report: HashReport) => listeners.get(report.id)?.onReport(report))
    const fail = (error: Error) => {
      if (worker === fresh) worker = undefined
      for (const listener of listeners.values()) listener.onFailure(error)
      listeners.clear()
    }
    fresh.on('error', fail)
    fresh.on('exit', (code) => fail(new Error(`the hash thread ended with ${code}`)))
    return fresh
  }
  return {
    listen: (id, listener) => void listeners.set(id, listener),
    leave: (id) => void listeners.delete(id),
    send: (order, transfer = []) => (worker ??= start()).postMessage(order, transfer),
  }
}

function createSideHash(thread: Thread, id: number): SideHash {
  let underWay = 0
  let failure: Error | undefined
  let wake: (() => void) | undefined
  const ended = Promise.withResolvers<Uint8Array>()
  ended.promise.catch(() => undefined)
  thread.listen(id, {
    onReport({ sha256 }) {
      if (sha256) ended.resolve(sha256)
      else underWay--
      wake?.()
    },
    onFailure(error) {
      failure = error
      ended.reject(error)
      wake?.()
    },
  })
  return {
    async update(bytes) {
      while (underWay >= MOST_CHUNKS && !failure) await new Promise<void>((resolve) => (wake = resolve))
      if (failure) throw failure
      underWay++
      // A part of a buffer stays with the others that have a part of it.
      const whole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer
      const given = whole ? bytes : Uint8Array.from(bytes)
      thread.send({ id, bytes: given }, [given.buffer as ArrayBuffer])
    },
    async digest() {
      thread.send({ id })
      try {
        return await ended.promise
      } finally {
        thread.leave(id)
      }
    },
    close() {
      thread.leave(id)
      thread.send({ id, forget: true })
    },
  }
}
