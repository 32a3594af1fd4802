import type { Digest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { chmodSync, copyFileSync, linkSync, lstatSync, rmSync, statSync, symlinkSync, type Stats } from 'node:fs'
import path from 'node:path'
import { isNoReflink, readSmall, reflink, writeNew } from '../cache/copy-file.ts'
import { explainFull } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { LinkType } from '../repo/repo.ts'
import { copyLarge, LARGE_BYTES } from './copy-large.ts'
import type { Desk } from './desk.ts'

/** How the workspace's files come to hold what the cache holds, best first. */
export function wantedLinks(desk: Desk, kind: 'stage' | 'data'): readonly LinkType[] {
  return desk.repo.linkTypes ?? (kind === 'stage' ? ['reflink', 'hardlink', 'copy'] : ['reflink', 'copy'])
}

const tried = new Map<string, LinkType>()

/**
 * The first link type that works from the cache to `folder` (which exists), tried with small files. Remembered by device.
 * @throws CairnError FAILED when none works
 */
export function chooseLink(desk: Desk, kind: 'stage' | 'data', folder: string): LinkType {
  const types = wantedLinks(desk, kind)
  makeFolders(desk.cache.dir)
  const key = `${types.join()} ${desk.cache.dir} ${lstatSync(folder).dev}`
  const known = tried.get(key)
  if (known) return known
  const found = types.find((type) => works(desk, type, folder))
  if (!found) {
    throw new CairnError('FAILED', `No possible cache link types for '${folder}': none of ${types.join(', ')} works`, {
      hint: 'Allow copies: cairn config cache.type copy',
    })
  }
  tried.set(key, found)
  return found
}

function works(desk: Desk, type: LinkType, folder: string): boolean {
  if (type === 'copy') return true
  const name = `.cairn-link-${process.pid}`
  const [source, target] = [path.join(desk.cache.dir, name), path.join(folder, name)]
  try {
    writeNew(source, Buffer.from('cairn'), 0o600)
    linkBy(type, source, `${target}-target`)
    return true
  } catch (error) {
    if (isNoReflink(error)) return false
    throw explainFull(error, desk.cache.dir)
  } finally {
    rmSync(source, { force: true })
    rmSync(`${target}-target`, { force: true })
  }
}

function linkBy(type: Exclude<LinkType, 'copy'>, source: string, target: string): void {
  if (type === 'hardlink') linkSync(source, target)
  else if (type === 'symlink') symlinkSync(source, target)
  else reflink(source, target)
}

/**
 * Creates `target` (which must not exist) with the content of an object that the caller has found sound. Returns its stat
 * where that is at hand; a promise only for the copy of a large object, which can be interrupted.
 * @throws CairnError STORAGE_FULL
 */
export function materialize(
  { cache, signal }: Pick<Desk, 'cache' | 'signal'>,
  digest: Digest,
  target: string,
  type: LinkType,
  options: { isexec?: boolean } = {},
): Stats | undefined | Promise<undefined> {
  // An executable hard link would make the object itself executable.
  const how = type === 'hardlink' && options.isexec ? 'copy' : type
  const source = cache.pathOf(digest)
  try {
    if (how === 'copy') return copyOut(source, target, { isexec: options.isexec === true, signal })
    linkBy(how, source, target)
    if (how === 'hardlink') return rememberLink(cache, digest, target)
    if (how === 'reflink') chmodSync(target, 0o666 & ~umask())
    if (options.isexec && how !== 'symlink') makeExecutable(target)
    return undefined
  } catch (error) {
    rmSync(target, { force: true })
    throw explainFull(error, target)
  }
}

/** The object got another name, which changed its stat; the new name has the same. */
function rememberLink(cache: ObjectCache, digest: Digest, target: string): Stats {
  const stat = lstatSync(target)
  cache.remember(digest, stat)
  return stat
}

export function makeExecutable(file: string): void {
  chmodSync(file, (lstatSync(file).mode & 0o777) | 0o100)
}

function copyOut(source: string, target: string, how: CopyOptions): Stats | undefined | Promise<undefined> {
  const bytes = readSmall(source)
  if (bytes && !how.isexec) return writeNew(target, bytes, 0o666)
  if (!bytes && statSync(source).size > LARGE_BYTES) return copyLargeOut(source, target, how)
  if (bytes) writeNew(target, bytes, 0o666)
  else {
    copyFileSync(source, target)
    chmodSync(target, 0o666 & ~umask())
  }
  if (how.isexec) makeExecutable(target)
  return undefined
}

interface CopyOptions {
  isexec: boolean
  signal: AbortSignal
}

async function copyLargeOut(source: string, target: string, { isexec, signal }: CopyOptions): Promise<undefined> {
  try {
    await copyLarge(source, target, 0o666, signal)
    if (isexec) makeExecutable(target)
  } catch (error) {
    throw explainFull(error, target)
  }
}

let mask: number | undefined
const umask = (): number => (mask ??= process.umask())
