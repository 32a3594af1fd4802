import { type Digest, isLegacy, md5Of } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { chmodSync, copyFileSync, linkSync, lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { isNoReflink, readSmall, reflink, writeNew } from '../cache/copy-file.ts'
import { explainFull } from '../cache/incoming.ts'
import { damaged, type ObjectCache } from '../cache/object-cache.ts'
import { md5OfBytes } from '../cache/md5.ts'
import type { LinkType } from '../repo/repo.ts'
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
  mkdirSync(desk.cache.dir, { recursive: true })
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
 * Creates `target` (which must not exist) with the object's content. The object is sound or an error is thrown: small ones are
 * hashed on the way, larger ones judged by the cache. @throws CairnError CACHE_DAMAGED, CACHE_MISSING, STORAGE_FULL
 */
export function materialize(cache: ObjectCache, digest: Digest, target: string, type: LinkType, options: { isexec?: boolean } = {}): void {
  const how = type === 'hardlink' && options.isexec ? 'copy' : type
  try {
    if (how === 'copy') copyOut(cache, digest, target)
    else {
      if (!cache.isSound(digest)) throw damaged(digest)
      linkBy(how, cache.pathOf(digest), target)
      if (how === 'hardlink') cache.remember(digest)
      if (how === 'reflink') chmodSync(target, 0o666 & ~umask())
    }
    if (options.isexec && how !== 'symlink') chmodSync(target, (lstatSync(target).mode & 0o777) | 0o100)
  } catch (error) {
    if (!(error instanceof CairnError)) rmSync(target, { force: true })
    throw explainFull(error, target)
  }
}

function copyOut(cache: ObjectCache, digest: Digest, target: string): void {
  const source = cache.pathOf(digest)
  const bytes = readSmall(source)
  if (bytes === undefined) {
    if (!cache.isSound(digest)) throw damaged(digest)
    copyFileSync(source, target)
    chmodSync(target, 0o666 & ~umask())
    return
  }
  if (md5OfBytes(bytes, { legacy: isLegacy(digest) }) !== md5Of(digest)) {
    cache.setAside(digest)
    throw damaged(digest)
  }
  writeNew(target, bytes, 0o666)
}

let mask: number | undefined
const umask = (): number => (mask ??= process.umask())
