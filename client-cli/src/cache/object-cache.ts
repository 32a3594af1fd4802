import { type Digest, isLegacy, isTree, makeDigest, md5Of, objectPath } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { serializeTree, type TreeEntry } from '@cairn/protocol/tree'
import { chmodSync, closeSync, existsSync, linkSync, openSync, readSync, renameSync, writeSync, type Stats } from 'node:fs'
import path from 'node:path'
import { openBothCompleteTrees } from './complete-trees.ts'
import { readSmall, tryReflink } from './copy-file.ts'
import { type FileStat, lstatOrNone, probeTimestamps, sameStat, statOrNone, type Timestamps } from './file-stat.ts'
import { openIncoming } from './incoming.ts'
import { createMd5, md5OfBytes, md5OfFile } from './md5.ts'
import { findMissing, holdsAll } from './presence.ts'
import type { TreeRows } from './tree-pieces.ts'
import { openObjectRecords } from './object-records.ts'
import type { ObjectSink } from './object-sink.ts'
import { type OnEntry, readTreeFile, scanTreeFile } from './read-tree.ts'
import { openReceptions } from './receiving.ts'

/**
 * The local object store, in dvc's layout: `<dir>/files/md5/ab/cdef…` and `<dir>/ab/cdef…` for legacy objects. Objects are
 * written as tmp + rename with mode 0444. Synchronous: on small files, sync calls beat promises three times.
 */
export interface ObjectCache extends ObjectSink {
  /** The cache's directory, absolute. */
  readonly dir: string
  pathOf(digest: Digest): string
  /** Present by name. Cheap: no bytes are read. */
  has(digest: Digest): boolean
  /** Those that are not present, in their order. */
  missing(digests: readonly Digest[]): Digest[]
  /** True when every member of a tree is present by name. `members` is asked only when that is not known already. */
  isComplete(tree: Digest, members: () => Pick<TreeRows, 'count' | 'md5'>): boolean
  /**
   * True when the object may be linked or sent: present, and its stat is what was recorded when it was stored, or its bytes
   * were hashed again now and agree. A damaged object is moved aside (`<name>.damaged`) and false is returned.
   */
  isSound(digest: Digest): boolean
  /** As `isSound`; undefined when that takes hashing more than `limit` bytes. */
  isSoundWithin(digest: Digest, limit: number): boolean | undefined
  /** As `isSound` for an object that nothing vouches for; `hash` gives the md5 of the file, in its own time. */
  prove(digest: Digest, hash: (path: string) => Promise<string>): Promise<boolean>
  /** As `isSound`, with the object's stat; undefined when it is missing or was damaged. */
  soundStat(digest: Digest): Stats | undefined
  /** Parses a tree out of the cache, verifying its bytes. @throws CairnError CACHE_MISSING, CACHE_DAMAGED, BAD_TREE */
  readTree(digest: Digest): TreeEntry[]
  /**
   * The same for trees of any size: calls back with each entry and holds none. Only when it has returned are they known to be
   * right. @throws as `readTree`
   */
  scanTree(digest: Digest, onEntry: OnEntry): void
  /** Stores a serialized tree and returns its digest. */
  storeTree(entries: readonly TreeEntry[], options?: { legacy?: boolean }): Digest
  /** Stores bytes that the caller has just hashed. An object of that name that is damaged is replaced. */
  put(digest: Digest, bytes: Uint8Array): void
  /**
   * Stores the bytes of a workspace file whose digest is known from hashing it; re-checks that the file did not change
   * meanwhile: by its stat when `known` (the stat that the digest was taken at) is given, else by hashing what was copied.
   * @throws CairnError FAILED when it did change
   */
  storeFile(digest: Digest, path: string, how: 'copy' | 'hardlink' | 'reflink', known?: FileStat): void
  /** An empty file to write an object into, which `adopt` then names, or `discard` removes. */
  draft(): string
  /** A draft of these bytes. `onChunk` sees each before it is written. Nothing is left when they break off. @throws CairnError STORAGE_FULL */
  draftOf(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal, onChunk: (chunk: Uint8Array) => void): Promise<string>
  /** Makes a draft the object; the caller has hashed the draft's very bytes. */
  adopt(draft: string, digest: Digest): void
  discard(draft: string): void
  /** Records the stat of an object that was changed on purpose (a new hard link) after it was found sound. */
  remember(digest: Digest, stat?: Stats): void
  /** Moves an object whose bytes were found wrong out of the way, to `<name>.damaged`. */
  setAside(digest: Digest): void
  /** Writes out what is remembered of the objects' stats. */
  close(): void
}

const OBJECT_MODE = 0o444
const QUIET_MS = 50

/**
 * `tmpDir` is the repository's `.dvc/tmp`. `shared`: folders are writable by the group (`cache.shared = group`).
 * `timestamps`: what is known of the file system's clock; by default it is tried when it is needed.
 */
export function openObjectCache(
  dir: string,
  options: { tmpDir: string; shared?: boolean; timestamps?: () => Timestamps },
): ObjectCache {
  let probed: Timestamps | undefined
  const timestamps = options.timestamps ?? (() => (probed ??= probeTimestamps(path.join(options.tmpDir, 'cairn'))))
  const complete = openBothCompleteTrees(dir, { tmpDir: options.tmpDir, timestamps })
  const records = openObjectRecords(path.join(options.tmpDir, 'cairn', 'objects'))
  const incoming = openIncoming(dir, options)
  const root = path.resolve(dir)
  const pathOf = (digest: Digest) => `${root}/${objectPath(digest)}`

  const remember = (digest: Digest, stat = statOrNone(pathOf(digest))) => {
    if (!stat?.isFile()) return
    if ((stat.mode & 0o777) === OBJECT_MODE) return records.set(digest, stat)
    makeReadOnly(pathOf(digest))
    const after = statOrNone(pathOf(digest))
    if (after) records.set(digest, after)
  }
  const adopt = (draft: string, digest: Digest) => {
    incoming.rename(draft, pathOf(digest))
    complete.moved()
    remember(digest)
  }
  const setAside = (digest: Digest) => {
    complete.moved()
    try {
      renameSync(pathOf(digest), `${pathOf(digest)}.damaged`)
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error
    }
  }
  const soundStat = (digest: Digest): Stats | undefined => {
    const file = pathOf(digest)
    const stat = statOrNone(file)
    if (!stat?.isFile()) return undefined
    if (records.matches(digest, stat)) return stat
    return judge(digest, stat, md5OfFile(file, { legacy: isLegacy(digest) && !isTree(digest) }))
  }
  /** `md5` is that of the bytes that had this stat before they were read. */
  const judge = (digest: Digest, stat: Stats, md5: string): Stats | undefined => {
    const file = pathOf(digest)
    if (md5 !== md5Of(digest)) {
      setAside(digest)
      return undefined
    }
    if ((stat.mode & 0o777) !== OBJECT_MODE) makeReadOnly(file)
    const after = statOrNone(file)
    // One that was written a moment ago could change again within the same tick; it is hashed once more next time.
    const quiet = after && sameStat({ ...after, ctimeMs: 0 }, { ...stat, ctimeMs: 0 }) && stat.mtimeMs < Date.now() - QUIET_MS
    if (quiet) records.set(digest, after)
    return after
  }
  const put = (digest: Digest, bytes: Uint8Array) => {
    const stat = incoming.place(bytes, pathOf(digest))
    complete.moved()
    remember(digest, stat)
  }

  return {
    dir,
    pathOf,
    has: (digest) => existsSync(pathOf(digest)),
    missing: (digests) => findMissing(dir, digests),
    isComplete: (tree, members) => complete.for(tree).check(tree, () => holdsAll(dir, members(), isLegacy(tree))),
    isSound: (digest) => soundStat(digest) !== undefined,
    isSoundWithin(digest, limit) {
      const stat = statOrNone(pathOf(digest))
      if (!stat?.isFile()) return false
      if (records.matches(digest, stat)) return true
      return stat.size > limit ? undefined : soundStat(digest) !== undefined
    },
    async prove(digest, hash) {
      const before = statOrNone(pathOf(digest))
      if (!before?.isFile()) return false
      return judge(digest, before, await hash(pathOf(digest))) !== undefined
    },
    soundStat,
    readTree(digest) {
      const entries = readTreeFile(pathOf(digest), digest)
      if (entries !== undefined) return entries
      setAside(digest)
      throw damaged(digest)
    },
    scanTree(digest, onEntry) {
      if (scanTreeFile(pathOf(digest), digest, onEntry)) return
      setAside(digest)
      throw damaged(digest)
    },
    storeTree(entries, { legacy = false } = {}) {
      const bytes = serializeTree(entries)
      const digest = makeDigest(md5OfBytes(bytes), { tree: true, legacy })
      if (soundStat(digest) === undefined) put(digest, bytes)
      return digest
    },
    put,
    storeFile(digest, file, how, known) {
      if (how === 'hardlink' && linkIn(file, digest, known)) return
      const draft = incoming.write((fd, name) => (how === 'reflink' ? tryReflink(file, name) : copyInto(fd, file)), 0o600)
      if (!isCopyOf(draft, file, digest, known)) {
        incoming.discard(draft)
        throw changedMeanwhile(file)
      }
      adopt(draft, digest)
    },
    draft: () => incoming.write(() => undefined, 0o600),
    draftOf: incoming.writeFrom,
    discard: incoming.discard,
    adopt,
    store(digest, bytes) {
      if (md5OfBytes(bytes, { legacy: isLegacy(digest) && !isTree(digest) }) !== md5Of(digest)) throw mismatch(digest)
      put(digest, bytes)
    },
    async storeStream(digest, bytes, signal) {
      const md5 = createMd5({ legacy: isLegacy(digest) && !isTree(digest) })
      let length = 0
      const draft = await incoming.writeFrom(bytes, signal, (chunk) => {
        md5.update(chunk)
        length += chunk.length
      })
      if (md5.digest() !== md5Of(digest)) {
        incoming.discard(draft)
        throw mismatch(digest)
      }
      adopt(draft, digest)
      return length
    },
    receptions: openReceptions(dir, { tmpDir: options.tmpDir, adopt }),
    remember: (digest, stat) => remember(digest, stat),
    setAside,
    close() {
      records.flush()
      complete.flush()
    },
  }

  /** The object becomes a second name of the workspace's file. False when the file systems differ. */
  function linkIn(file: string, digest: Digest, known: FileStat | undefined): boolean {
    const draft = incoming.name()
    try {
      linkSync(file, draft)
    } catch (error) {
      if (isCode(error, 'EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP')) return false
      throw error
    }
    const stat = lstatOrNone(draft)
    // Linking itself moves ctime, so the rest has to vouch for the bytes.
    const same =
      known && stat ? stat.mtimeMs === known.mtimeMs && stat.size === known.size && stat.ino === known.ino : hashes(draft, digest)
    if (!same) {
      incoming.discard(draft)
      throw changedMeanwhile(file)
    }
    adopt(draft, digest)
    return true
  }
}

function makeReadOnly(file: string): void {
  try {
    chmodSync(file, OBJECT_MODE)
  } catch (error) {
    // Someone else's object in a shared cache.
    if (!isCode(error, 'EPERM', 'EROFS', 'EACCES')) throw error
  }
}

function copyInto(fd: number, file: string): void {
  const small = readSmall(file)
  if (small) return writeAll(fd, small, small.length)
  const source = openSync(file, 'r')
  try {
    const buffer = Buffer.allocUnsafeSlow(256 << 10)
    for (let read = readSync(source, buffer); read > 0; read = readSync(source, buffer)) writeAll(fd, buffer, read)
  } finally {
    closeSync(source)
  }
}

function writeAll(fd: number, bytes: Uint8Array, length: number): void {
  for (let offset = 0; offset < length;) offset += writeSync(fd, bytes, offset, length - offset)
}

const hashes = (file: string, digest: Digest): boolean => md5OfFile(file, { legacy: isLegacy(digest) }) === md5Of(digest)

function isCopyOf(draft: string, file: string, digest: Digest, known: FileStat | undefined): boolean {
  if (!known) return hashes(draft, digest)
  const now = statOrNone(file)
  return now !== undefined && sameStat(now, known) && lstatOrNone(draft)?.size === known.size
}

const changedMeanwhile = (file: string) =>
  new CairnError('FAILED', `'${file}' changed while it was being added`, {
    hint: 'Wait until nothing writes to it, then run the command again.',
    exit: 1,
  })

export const damaged = (digest: Digest) =>
  new CairnError('CACHE_DAMAGED', `the cached object '${digest}' was damaged; it was moved aside to '….damaged'`, {
    hint: 'Get a good copy with: cairn fetch, or add the original again.',
  })

const mismatch = (digest: Digest) =>
  new CairnError('DIGEST_MISMATCH', `the bytes received for '${digest}' do not hash to it; nothing was stored`)
