import { type Digest, isTree } from '@cairn/protocol/digest'
import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { writeNew } from '../cache/copy-file.ts'
import { lstatOrNone } from '../cache/file-stat.ts'
import { absolutePath, type Desk } from './desk.ts'
import { draftFor } from './drafts.ts'
import { chooseLink } from './link.ts'
import type { EarlyFiles, EarlyFolder, Wanted } from './workspace.ts'

interface Folder extends EarlyFolder {
  root: string
  digest: Digest
  /** Relative paths by the object that they hold. */
  files: Map<Digest, string | string[]>
  placed: Set<Digest>
  made: Set<string>
}

/** Beyond this, what has to be remembered of each file costs more memory than the reading is worth. */
const MOST_FILES = 200_000

/** See `Workspace.expect`. */
export function expectFiles(desk: Desk, wanted: readonly Wanted[]): EarlyFiles {
  let folders = wanted.flatMap((each) => expectFolder(desk, each))
  const discard = (folder: Folder) => {
    folders = folders.filter((other) => other !== folder)
    rmSync(folder.draft, { recursive: true, force: true })
  }
  return {
    place(digest, bytes) {
      for (const folder of folders) {
        try {
          placeIn(folder, digest, bytes)
        } catch {
          discard(folder)
        }
      }
    },
    take(root, digest) {
      const folder = folders.find((each) => each.root === root && each.digest === digest)
      folders = folders.filter((other) => other !== folder)
      return folder
    },
    close: () => folders.forEach(discard),
  }
}

/** Only a folder that is not there yet, that is copied, and whose tree is known. */
function expectFolder(desk: Desk, { path: file, digest, inside, kind }: Wanted): Folder[] {
  if (digest === undefined || !isTree(digest) || inside !== undefined || !desk.cache.has(digest)) return []
  const root = absolutePath(desk, file)
  const above = path.dirname(root)
  if (lstatOrNone(root) || !lstatOrNone(above)?.isDirectory() || chooseLink(desk, kind, above) !== 'copy') return []
  const entries = desk.cache.readTree(digest)
  if (entries.length > MOST_FILES) return []
  const files: Folder['files'] = new Map()
  for (const entry of entries) {
    const known = files.get(entry.digest)
    if (known === undefined) files.set(entry.digest, entry.path)
    else if (typeof known === 'string') files.set(entry.digest, [known, entry.path])
    else known.push(entry.path)
  }
  const draft = draftFor(desk, above)
  mkdirSync(draft)
  return [{ root, digest, draft, files, placed: new Set(), made: new Set([draft]) }]
}

function placeIn(folder: Folder, digest: Digest, bytes: Uint8Array): void {
  const files = folder.files.get(digest)
  if (files === undefined || folder.placed.has(digest)) return
  for (const file of typeof files === 'string' ? [files] : files) {
    const target = `${folder.draft}/${file}`
    const above = target.slice(0, target.lastIndexOf('/'))
    if (!folder.made.has(above)) mkdirSync(above, { recursive: true })
    folder.made.add(above)
    writeNew(target, bytes, 0o666)
  }
  folder.placed.add(digest)
}
