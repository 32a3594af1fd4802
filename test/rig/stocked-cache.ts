import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Digest } from '@cairn/protocol/digest'
import { type ObjectCache, openObjectCache } from '../../client-cli/src/cache/object-cache.ts'
import type { TransferOptions } from '../../client-cli/src/remote/remote.ts'
import { digestOf } from './server.ts'

/** A cache in a temporary folder, with a short way to put objects into it. */
export interface StockedCache {
  cache: ObjectCache
  dir: string
  file(bytes: Uint8Array | string, options?: { legacy?: boolean }): Digest
  tree(files: Readonly<Record<string, Digest>>, options?: { legacy?: boolean }): Digest
  /** Other bytes of the same length, with nothing to show for it but the stat. */
  damage(digest: Digest): void
  drop(digest: Digest): void
  read(digest: Digest): Buffer
  remove(): void
}

export function createStockedCache(): StockedCache {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'cairn-cache-'))
  const cache = openObjectCache(path.join(dir, 'cache'), { tmpDir: path.join(dir, 'tmp') })
  return {
    cache,
    dir,
    file(bytes, options) {
      const digest = digestOf(bytes, options)
      cache.store(digest, Buffer.from(bytes))
      return digest
    },
    tree: (files, options) => {
      const entries = Object.entries(files).map(([file, digest]) => ({ path: file, digest }))
      return cache.storeTree(entries, options)
    },
    damage(digest) {
      const file = cache.pathOf(digest)
      chmodSync(file, 0o644)
      const bytes = readFileSync(file)
      bytes[0] = (bytes[0] ?? 0) ^ 1
      writeFileSync(file, bytes)
      chmodSync(file, 0o444)
    },
    drop: (digest) => rmSync(cache.pathOf(digest), { force: true }),
    read: (digest) => readFileSync(cache.pathOf(digest)),
    remove: () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }),
  }
}

export const quietly = (options: Partial<TransferOptions> = {}): TransferOptions => ({
  signal: new AbortController().signal,
  report: () => undefined,
  ...options,
})
