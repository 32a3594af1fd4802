import { createHash, type Hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'

/** `bytes` go into the hash `id`; without them it is to end, and to be forgotten where nobody waits for it. */
export type HashOrder = { id: number; bytes?: Uint8Array; forget?: boolean }
export type HashReport = { id: number; sha256?: Uint8Array }

const hashes = new Map<number, Hash>()

parentPort?.on('message', ({ id, bytes, forget }: HashOrder) => {
  const hash = hashes.get(id) ?? createHash('sha256')
  if (bytes) {
    hashes.set(id, hash.update(bytes))
    parentPort?.postMessage({ id } satisfies HashReport)
    return
  }
  hashes.delete(id)
  if (!forget) parentPort?.postMessage({ id, sha256: hash.digest() } satisfies HashReport)
})
