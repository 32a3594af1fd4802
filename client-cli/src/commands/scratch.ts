import { chmodSync, constants, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Digest, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { isSafePath, type TreeEntry } from '@cairn/protocol/tree'
import { type ObjectCache, openObjectCache } from '../cache/object-cache.ts'
import { makeFolders } from '../io/make-folders.ts'

/** A cache for one command, beside the place that its content is for. */
export interface Scratch {
  cache: ObjectCache
  dir: string
}

/** Removed when `work` has settled. `beside`: on the same file system as this folder, so that what was brought can be moved. */
export async function withScratch<T>(beside: string | undefined, work: (scratch: Scratch) => Promise<T>): Promise<T> {
  if (beside !== undefined) makeFolders(beside)
  const dir = mkdtempSync(path.join(beside ?? os.tmpdir(), '.cairn-'))
  try {
    return await work({ cache: openObjectCache(path.join(dir, 'cache'), { tmpDir: path.join(dir, 'tmp') }), dir })
  } finally {
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Moves what a scratch cache holds to its place, whole; what stood there goes. The cache lacks it afterwards. */
export function placeOut({ cache, dir }: Scratch, { digest, isexec }: { digest: Digest; isexec: boolean }, place: string): void {
  const draft = path.join(dir, 'out')
  if (isTree(digest)) placeTree(cache, cache.readTree(digest), draft)
  else placeFile(cache, digest, draft, { last: true, isexec })
  rmSync(place, { recursive: true, force: true })
  renameSync(draft, place)
}

function placeTree(cache: ObjectCache, entries: readonly TreeEntry[], draft: string): void {
  const uses = new Map<Digest, number>()
  for (const { digest } of entries) uses.set(digest, (uses.get(digest) ?? 0) + 1)
  mkdirSync(draft)
  for (const { path: file, digest } of entries) {
    if (!isSafePath(file)) throw new CairnError('FAILED', `the folder holds a path that leaves it: '${file}'`)
    const target = path.join(draft, file)
    mkdirSync(path.dirname(target), { recursive: true })
    const left = (uses.get(digest) ?? 1) - 1
    uses.set(digest, left)
    placeFile(cache, digest, target, { last: left === 0, isexec: false })
  }
}

function placeFile(cache: ObjectCache, digest: Digest, target: string, how: { last: boolean; isexec: boolean }): void {
  const object = cache.pathOf(digest)
  const isOther = !statSync(object).isFile()
  if (how.last && !isOther) renameSync(object, target)
  else copyFileSync(object, target, constants.COPYFILE_FICLONE)
  chmodSync(target, (how.isexec ? 0o766 : 0o666) & ~process.umask())
}
