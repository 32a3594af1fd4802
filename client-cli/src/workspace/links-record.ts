import { type Digest, isDigest } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { isUnwritable } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'

/**
 * The outputs that Cairn stored or placed, with what they held: those that are no longer outputs and did not change are
 * removed by the next checkout, as after a switch of branches. Losing it leaves files, it never deletes any.
 */
export interface LinksRecord {
  entries(): ReadonlyMap<string, Digest>
  set(path: string, digest: Digest): void
  delete(path: string): void
  flush(): void
}

/** One line an output, `<digest> <path>` with the path as JSON, so that two branches' outputs may differ in any character. */
export function openLinksRecord(file: string): LinksRecord {
  let entries: Map<string, Digest> | undefined
  let changed = false
  const load = () => (entries ??= readEntries(file))
  return {
    entries: load,
    set(placed, digest) {
      if (load().get(placed) === digest) return
      load().set(placed, digest)
      changed = true
    },
    delete(placed) {
      if (load().delete(placed)) changed = true
    },
    flush() {
      if (!changed) return
      try {
        makeFolders(path.dirname(file))
        writeFileAtomic(file, [...load()].map(([placed, digest]) => `${digest} ${JSON.stringify(placed)}\n`).join(''))
        changed = false
      } catch (error) {
        if (!isUnwritable(error)) throw error
      }
    },
  }
}

function readEntries(file: string): Map<string, Digest> {
  const entries = new Map<string, Digest>()
  for (const line of readText(file).split('\n')) {
    const match = /^(\S+) ("(?:[^"\\]|\\.)*")$/.exec(line)
    const [, digest = '', quoted = ''] = match ?? []
    if (match && isDigest(digest)) entries.set(String(JSON.parse(quoted)), digest)
  }
  return entries
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return ''
    throw error
  }
}
