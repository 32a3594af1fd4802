import { closeSync, ftruncateSync, lstatSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { type Digest, isLegacy, isTree, md5Of } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { explainFull } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'
import { addSpan, missingSpans, prefixLength, type Span } from './byte-spans.ts'
import { follow } from './follow.ts'
import { isBeside, removeAbandoned } from './incoming.ts'
import { md5OfBytes } from './md5.ts'

/** An object that comes in pieces, in any order, and is none before all of it was hashed. One of the last three has to be called. */
export interface Receiving {
  /** In bytes. */
  readonly size: number
  /** What is still to come, ascending. */
  missing(): Span[]
  /** @throws CairnError STORAGE_FULL */
  writeAt(offset: number, bytes: Uint8Array): void
  /** Verifies the whole and makes it the object. @throws CairnError DIGEST_MISMATCH, after which nothing is left of it */
  finish(): Promise<void>
  /** Keeps what has come for a later run. */
  pause(): void
  discard(): void
}

/** Drafts that survive the run that wrote them. */
export interface Receptions {
  /** The size of an object that an earlier run received a part of. */
  standing(digest: Digest): number | undefined
  /** Goes on with what an earlier run left of it, or begins. */
  open(digest: Digest, size: number): Receiving
}

const KEPT_MS = 7 * 24 * 3600 * 1000
/** So much may have to be fetched again after a kill. */
const NOTED_BYTES = 4 << 20
const NOTE_BYTES = 4096

let run: string | undefined
/** Names of drafts tell who writes them: what a dead process left is free to be taken. */
const thisRun = (): string => (run ??= `${process.pid}-${randomBytes(4).toString('hex')}`)

/** `adopt` makes a verified file the object. */
export function openReceptions(
  cacheDir: string,
  options: { tmpDir: string; adopt: (draft: string, digest: Digest) => void },
): Receptions {
  let found: string | undefined
  const folder = () => (found ??= openFolder(cacheDir, options.tmpDir))
  const abandoned = (digest: Digest): string | undefined =>
    readdirSync(folder()).find((name) => name.startsWith(`${digest}~`) && !name.endsWith('.json') && isAbandoned(name))

  return {
    standing(digest) {
      const name = abandoned(digest)
      return name === undefined ? undefined : readNote(path.join(folder(), name))?.size
    },
    open(digest, size) {
      try {
        const draft = path.join(folder(), `${digest}~${thisRun()}`)
        const name = abandoned(digest)
        const spans = name === undefined ? undefined : takeOver(path.join(folder(), name), draft, size)
        return receive(draft, { digest, size, spans, adopt: options.adopt })
      } catch (error) {
        throw explainFull(error, cacheDir)
      }
    },
  }
}

/** On the file system of the cache: in `.dvc/tmp` where that is, else inside the cache, apart from other repositories' drafts. */
function openFolder(cacheDir: string, tmpDir: string): string {
  const near = path.join(tmpDir, 'cairn', 'receiving')
  makeFolders(cacheDir)
  const own = md5OfBytes(Buffer.from(tmpDir)).slice(0, 12)
  const folder = isBeside(near, cacheDir) ? near : path.join(cacheDir, 'cairn-receiving', own)
  makeFolders(folder)
  removeAbandoned(folder, KEPT_MS)
  return folder
}

/** Paused, or its process is gone. */
function isAbandoned(name: string): boolean {
  const owner = name.slice(name.indexOf('~') + 1)
  if (owner === 'paused') return true
  const pid = Number(owner.split('-')[0])
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return owner !== thisRun()
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return isCode(error, 'ESRCH')
  }
}

const noteOf = (draft: string): string => `${draft}.json`

interface Note {
  size: number
  spans: Span[]
}

function readNote(draft: string): Note | undefined {
  try {
    const { size, spans } = JSON.parse(readFileSync(noteOf(draft), 'utf8')) as { size: unknown; spans: unknown }
    if (!Number.isSafeInteger(size) || !Array.isArray(spans)) return undefined
    return {
      size: size as number,
      spans: spans.reduce<Span[]>((all, [start, end]: [number, number]) => addSpan(all, { start, end }), []),
    }
  } catch {
    // Only a note of what need not be fetched again.
    return undefined
  }
}

/** The first of several processes wins, for a name can be moved away once. undefined: there is nothing to go on with. */
function takeOver(from: string, draft: string, size: number): Span[] | undefined {
  const note = readNote(from)
  try {
    renameSync(from, draft)
    renameSync(noteOf(from), noteOf(draft))
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
  const whole = lstatSync(draft).size === size && note?.size === size
  if (whole && note.spans.every((span) => span.start >= 0 && span.end <= size)) return note.spans
  rmSync(draft, { force: true })
  return undefined
}

/**
 * In place, and always in one write of the same length: a kill leaves the old note or the new one. Replacing the file by a
 * rename would make some file systems write it out each time.
 */
function writeNote(fd: number, { size, spans }: Note): void {
  const text = JSON.stringify({ size, spans: spans.map(({ start, end }) => [start, end]) })
  writeSync(fd, text.padEnd(Math.ceil(text.length / NOTE_BYTES) * NOTE_BYTES), 0)
}

interface Draft {
  digest: Digest
  size: number
  spans: Span[] | undefined
  adopt: (draft: string, digest: Digest) => void
}

function receive(draft: string, { digest, size, spans: known, adopt }: Draft): Receiving {
  const fd = openSync(draft, known ? 'r+' : 'w+', 0o600)
  const noteFd = openSync(noteOf(draft), known ? 'r+' : 'w', 0o600)
  if (!known) ftruncateSync(fd, size)
  const follower = follow({ path: draft, legacy: isLegacy(digest) && !isTree(digest), fd, size })
  let spans: Span[] = known ?? []
  let unnoted = 0

  const note = () => {
    writeNote(noteFd, { size, spans })
    unnoted = 0
  }
  const close = () => {
    follower.close()
    closeSync(fd)
    closeSync(noteFd)
  }
  const discard = () => {
    close()
    rmSync(draft, { force: true })
    rmSync(noteOf(draft), { force: true })
  }

  return {
    size,
    missing: () => missingSpans(spans, size),
    discard,
    writeAt(offset, bytes) {
      if (offset < prefixLength(spans) || offset + bytes.length > size)
        throw new Error(`${digest}: no bytes are wanted at ${offset}`)
      try {
        for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, offset + done)
        spans = addSpan(spans, { start: offset, end: offset + bytes.length })
        unnoted += bytes.length
        if (unnoted >= NOTED_BYTES) note()
      } catch (error) {
        throw explainFull(error, draft)
      }
      follower.wrote(offset, bytes, prefixLength(spans))
    },
    async finish() {
      if (prefixLength(spans) !== size && size > 0) throw new Error(`${digest}: not all of it was received`)
      if ((await follower.finish(size)) !== md5Of(digest)) {
        discard()
        throw new CairnError('DIGEST_MISMATCH', `the bytes received for '${digest}' do not hash to it; nothing was stored`)
      }
      close()
      adopt(draft, digest)
      rmSync(noteOf(draft), { force: true })
    },
    pause() {
      if (spans.length === 0) return discard()
      note()
      close()
      const paused = draft.replace(/~[^~]*$/, '~paused')
      renameSync(draft, paused)
      renameSync(noteOf(draft), noteOf(paused))
    },
  }
}
