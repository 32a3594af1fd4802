import { createHash, type Hash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'

/** `bytes`, which stay shared, go into the hash `id`; `from` makes it a copy of another; `end` asks for what it came to. */
export type HashOrder =
  { id: number; bytes: Uint8Array } | { id: number; from: number } | { id: number; end: true } | { id: number; forget: true }
export type HashReport = { id: number; digest?: Uint8Array }

const algorithm = String(workerData)
const hashes = new Map<number, Hash>()
const report = (about: HashReport): void => parentPort?.postMessage(about)

parentPort?.on('message', (order: HashOrder) => {
  const { id } = order
  const hash = hashes.get(id) ?? createHash(algorithm)
  if ('bytes' in order) {
    hashes.set(id, hash.update(order.bytes))
    report({ id })
  } else if ('from' in order) {
    hashes.set(id, hashes.get(order.from)?.copy() ?? hash)
  } else {
    hashes.delete(id)
    if ('end' in order) report({ id, digest: hash.digest() })
  }
})
