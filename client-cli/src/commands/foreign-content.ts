import path from 'node:path'
import { statSync } from 'node:fs'
import { type Digest, isLegacy, isTree, makeDigest, objectPath } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints, type TreeEntry } from '@cairn/protocol/tree'
import type { Context } from '../command.ts'
import { md5OfBytes, md5OfFile } from '../cache/md5.ts'
import type { ObjectCache } from '../cache/object-cache.ts'
import { loadStages } from '../pipeline/load.ts'
import type { Out } from '../pipeline/stage.ts'
import { createDirectoryRemote } from '../remote/directory-remote.ts'
import { openRemote } from '../remote/open.ts'
import { isStageFile } from '../repo/file-tree.ts'
import type { Foreign, ForeignFile } from '../repo/foreign.ts'
import { filesInside } from '../transfer/expand.ts'

/** One file of another repository, whether Git or DVC keeps it. */
export interface ContentFile extends ForeignFile {
  /** What its output records; undefined for what only Git keeps, or nobody. */
  digest?: Digest | undefined
}

/** What reading another repository's content needs. */
export interface Reading {
  foreign: Foreign
  /** Gets what is brought. */
  cache: ObjectCache
  context: Context
  /** The remote of the other repository to read from; its default one otherwise. */
  remote?: string | undefined
  /** Where something may be noted. */
  tmpDir: string
}

export interface Tracked {
  out: Out
  digest: Digest
}

/** The outputs of the other repository that a cache keeps. */
export async function trackedOf({ foreign }: Reading): Promise<Tracked[]> {
  const stages = await loadStages(foreign.tree)
  return stages.flatMap(({ outs }) =>
    outs.flatMap((out) => (out.recorded !== undefined && out.cache ? [{ out, digest: out.recorded.digest }] : [])),
  )
}

const isAtOrBelow = (file: string, folder: string): boolean => folder === '' || file === folder || file.startsWith(`${folder}/`)

/** The files at and below a path (root-relative; '' is the root), sorted. Fetches the lists of the folders among them. */
export async function listFiles(reading: Reading, at: string, tracked: readonly Tracked[]): Promise<ContentFile[]> {
  const files = new Map<string, ContentFile>()
  for (const file of await reading.foreign.files()) if (isAtOrBelow(file.path, at)) files.set(file.path, file)
  const near = tracked.filter(({ out }) => isAtOrBelow(out.path, at) || isAtOrBelow(at, out.path))
  await bring(
    reading,
    near.filter(({ digest }) => isTree(digest)),
  )
  for (const { out, digest } of near) {
    if (!isTree(digest)) {
      const { size = 0, isexec = false } = out.recorded ?? {}
      files.set(out.path, { path: out.path, size, isexec, digest })
      continue
    }
    for (const entry of reading.cache.readTree(digest)) {
      const file = `${out.path}/${entry.path}`
      if (!isAtOrBelow(file, at)) continue
      const standing = files.get(file)
      const size = standing?.size ?? sizeNearby(reading, entry.digest)
      files.set(file, { path: file, size, isexec: standing?.isexec ?? false, digest: entry.digest })
    }
  }
  return [...files.values()].toSorted((a, b) => compareCodePoints(a.path, b.path))
}

/** The size of a file that a folder lists without one: of its object, where that is on this machine; else 0. */
function sizeNearby({ foreign }: Reading, digest: Digest): number {
  const object = path.join(foreign.repo.cacheDir, objectPath(digest))
  return foreign.local ? (statSync(object, { throwIfNoEntry: false })?.size ?? 0) : 0
}

/** Files that say what is tracked, not what is: never part of what others take. */
export const isBookkeeping = (file: string): boolean =>
  (isStageFile(file) && path.posix.basename(file) !== 'dvc.lock') || path.posix.basename(file) === '.dvcignore'

/**
 * Takes what stands at a path into the cache: a file, or a folder as a tree.
 * @throws CairnError FAILED when there is nothing, CACHE_MISSING when its bytes are nowhere
 */
export async function bringContent(reading: Reading, at: string): Promise<{ digest: Digest; isexec: boolean }> {
  const { cache } = reading
  const tracked = await trackedOf(reading)
  const whole = tracked.find(({ out }) => out.path === at)
  if (whole && !isLegacy(whole.digest)) {
    await bring(reading, [whole])
    if (isTree(whole.digest)) {
      const inside = [...new Set(filesInside(cache, whole) ?? [])]
      await bring(
        reading,
        inside.map((digest) => ({ digest, out: whole.out })),
      )
    }
    return { digest: whole.digest, isexec: whole.out.recorded?.isexec ?? false }
  }
  const files = (await listFiles(reading, at, tracked)).filter((file) => file.path === at || !isBookkeeping(file.path))
  if (files.length === 0) throw missingPath(reading.foreign, at)
  return bringFiles(reading, at, files, tracked)
}

export const missingPath = (foreign: Foreign, at: string): CairnError =>
  new CairnError('FAILED', `The path '${at}' does not exist in '${foreign.url}'`, { exit: 1 })

async function bringFiles(
  reading: Reading,
  at: string,
  files: readonly ContentFile[],
  tracked: readonly Tracked[],
): Promise<{ digest: Digest; isexec: boolean }> {
  const owner = (file: string) => tracked.find(({ out }) => isAtOrBelow(file, out.path))
  const objects = files.flatMap(({ path: file, digest }) => {
    const out = owner(file)?.out
    return digest === undefined || out === undefined ? [] : [{ digest, out }]
  })
  await bring(reading, objects)
  const entries: TreeEntry[] = []
  for (const file of files) {
    reading.context.signal.throwIfAborted()
    const digest = file.digest === undefined ? await takePlain(reading, file) : asToday(reading.cache, file.digest)
    entries.push({ path: path.posix.relative(at, file.path), digest })
  }
  const [only] = entries
  if (only !== undefined && files[0]?.path === at) return { digest: only.digest, isexec: files[0].isexec }
  return { digest: reading.cache.storeTree(entries), isexec: false }
}

async function takePlain({ foreign, cache }: Reading, file: ForeignFile): Promise<Digest> {
  const bytes = await foreign.tree.read(file.path)
  if (bytes === undefined) throw new CairnError('FAILED', `'${file.path}' vanished from '${foreign.url}' while it was read`)
  const digest = makeDigest(md5OfBytes(bytes))
  if (!cache.isSound(digest)) cache.put(digest, bytes)
  return digest
}

/** A file that DVC of old named by its text is named by its bytes from here on. */
function asToday(cache: ObjectCache, digest: Digest): Digest {
  if (!isLegacy(digest)) return digest
  const file = cache.pathOf(digest)
  const today = makeDigest(md5OfFile(file))
  if (!cache.isSound(today)) cache.storeFile(today, file, 'copy')
  return today
}

/** Brings objects out of the other repository's cache, and what that lacks from its remotes. @throws CairnError CACHE_MISSING */
async function bring(reading: Reading, objects: ReadonlyArray<Pick<Tracked, 'digest' | 'out'>>): Promise<void> {
  const { foreign, cache, context } = reading
  const lacking = () => cache.missing([...new Set(objects.map(({ digest }) => digest))])
  if (foreign.local && lacking().length > 0) {
    const neighbour = createDirectoryRemote({ name: 'cache', dir: foreign.repo.cacheDir, cache })
    await neighbour.fetch(lacking(), cache, context)
  }
  const missing = new Set(lacking())
  if (missing.size === 0) return
  const groups = new Map<string | undefined, Set<Digest>>()
  for (const { digest, out } of objects) {
    const name = reading.remote ?? out.remote
    if (missing.has(digest)) groups.set(name, (groups.get(name) ?? new Set()).add(digest))
  }
  const own = { ...foreign.repo, tmpDir: reading.tmpDir }
  for (const [name, group] of groups) {
    const remote = await openRemote(own, name, context, cache)
    try {
      await remote.fetch([...group], cache, context)
    } finally {
      await remote.close()
    }
  }
  const [first] = lacking()
  const at = objects.find(({ digest }) => digest === first)?.out.path
  if (first !== undefined)
    throw new CairnError('CACHE_MISSING', `'${at}' of '${foreign.url}' is neither in its cache nor on its remote (${first})`, {
      exit: 1,
      hint: "Whoever has it can 'cairn push' it there.",
    })
}
