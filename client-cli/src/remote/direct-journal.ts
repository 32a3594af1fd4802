import { lstatSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Digest } from '@cairn/protocol/digest'
import { removeAbandoned } from '../cache/incoming.ts'
import { isUnwritable } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'

/** Which objects are on their way in one piece: what a killed run has left here goes in parts the next time. */
export interface DirectJournal {
  /** Noted by a run that did not come to its end, or by one that is under way. */
  isBegun(digest: Digest): boolean
  begin(digest: Digest): void
  end(digest: Digest): void
}

const KEPT_MS = 7 * 24 * 3600 * 1000

/** One empty file an object in `dir`, which need not exist. */
export function openDirectJournal(dir: string): DirectJournal {
  let swept = false
  const fileOf = (digest: Digest) => path.join(dir, digest)
  return {
    isBegun: (digest) => lstatSync(fileOf(digest), { throwIfNoEntry: false }) !== undefined,
    begin(digest) {
      try {
        makeFolders(dir)
        if (!swept) removeAbandoned(dir, KEPT_MS)
        swept = true
        writeFileSync(fileOf(digest), '')
      } catch (error) {
        // Without a note the next run begins anew, and no more.
        if (!isUnwritable(error)) throw error
      }
    },
    end: (digest) => rmSync(fileOf(digest), { force: true }),
  }
}
