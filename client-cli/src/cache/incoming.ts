import { isCode } from '@cairn/protocol/error'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
  type Stats,
} from 'node:fs'
import path from 'node:path'
import { explainFull } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'

/** Drafts of objects: written here, renamed into the cache when they are whole. */
export interface Incoming {
  /** A fresh name inside the drafts' folder. */
  name(): string
  /** Creates a draft and lets `fill` write it. A failure removes the draft. @throws CairnError STORAGE_FULL */
  write(fill: (fd: number, name: string) => void, mode?: number): string
  /** Writes a file aside and moves it to its place. Returns its stat there. @throws CairnError STORAGE_FULL */
  place(bytes: Uint8Array, target: string): Stats
  writeFrom(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal, onChunk: (chunk: Uint8Array) => void): Promise<string>
  /** Moves a draft to its place, making the folders it needs. A failure removes the draft. */
  rename(draft: string, target: string): void
  discard(draft: string): void
}

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
const ABANDONED_AFTER_MS = 60 * 60 * 1000

// A pid alone comes back after a reboot, and leftovers with it.
let run: string | undefined
let serial = 0

/** Drafts live in `.dvc/tmp` when that is on the cache's file system, else inside the cache. */
export function openIncoming(cacheDir: string, options: { tmpDir: string; shared?: boolean }): Incoming {
  let folder: string | undefined
  const makeDir = (dir: string) => {
    const first = makeFolders(dir, options.shared ? 0o2775 : 0o777)
    // mkdir obeys the umask, and a shared cache must not.
    if (options.shared && first !== undefined)
      for (let made = dir; made.length >= first.length; made = path.dirname(made)) chmodSync(made, 0o2775)
  }
  const open = () => {
    const near = path.join(options.tmpDir, 'cairn', 'incoming')
    makeDir(cacheDir)
    folder = isBeside(near, cacheDir) ? near : path.join(cacheDir, 'cairn-incoming')
    makeDir(folder)
    removeAbandoned(folder)
    return folder
  }
  const name = () => path.join(folder ?? open(), `${(run ??= `${process.pid}-${randomBytes(4).toString('hex')}`)}-${serial++}`)
  const discard = (draft: string) => rmSync(draft, { force: true })
  const rename = (draft: string, target: string) => {
    try {
      renameSync(draft, target)
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error
      makeDir(path.dirname(target))
      renameSync(draft, target)
    }
  }

  return {
    name,
    discard,
    write(fill, mode = 0o444) {
      const draft = guarded(name)
      return guarded(() => {
        try {
          const fd = openSync(draft, 'wx', mode)
          try {
            fill(fd, draft)
          } finally {
            closeSync(fd)
          }
          return draft
        } catch (error) {
          discard(draft)
          throw error
        }
      })
    },
    place(bytes, target) {
      const draft = guarded(name)
      return guarded(() => {
        try {
          const fd = openSync(draft, CREATE, 0o444)
          try {
            for (let offset = 0; offset < bytes.length;) offset += writeSync(fd, bytes, offset, bytes.length - offset)
            rename(draft, target)
            return fstatSync(fd)
          } finally {
            closeSync(fd)
          }
        } catch (error) {
          discard(draft)
          throw error
        }
      })
    },
    async writeFrom(bytes, signal, onChunk) {
      const draft = guarded(name)
      const fd = guarded(() => openSync(draft, 'wx', 0o444))
      try {
        for await (const chunk of bytes) {
          signal.throwIfAborted()
          onChunk(chunk)
          guarded(() => {
            for (let offset = 0; offset < chunk.length;) offset += writeSync(fd, chunk, offset)
          })
        }
        signal.throwIfAborted()
        return draft
      } catch (error) {
        discard(draft)
        throw error
      } finally {
        closeSync(fd)
      }
    },
    rename: (draft, target) => guarded(() => rename(draft, target)),
  }

  function guarded<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw explainFull(error, cacheDir)
    }
  }
}

/** Makes a folder, if it may be made. True when files can be moved from there to the cache. */
export function isBeside(folder: string, cacheDir: string): boolean {
  try {
    makeFolders(folder)
  } catch (error) {
    if (isCode(error, 'EROFS', 'EACCES', 'EPERM')) return false
    throw error
  }
  return lstatSync(folder).dev === lstatSync(cacheDir).dev
}

/** What killed runs left behind. Another machine's runs are told from dead ones by age, in milliseconds. */
export function removeAbandoned(folder: string, age = ABANDONED_AFTER_MS): void {
  for (const name of readdirSync(folder)) {
    const stat = lstatSync(path.join(folder, name), { throwIfNoEntry: false })
    if (stat && Date.now() - stat.mtimeMs > age) rmSync(path.join(folder, name), { force: true, recursive: true })
  }
}
