import { rmSync } from 'node:fs'
import path from 'node:path'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { readIfThere } from '../repo/ignore.ts'
import type { Repo } from '../repo/repo.ts'

/**
 * Replaces a file's text, whole. `edit` gets undefined when there is no file, and returns undefined for a file that goes. A file
 * whose text stays the same is not touched. Returns its root-relative path when it changed.
 */
export function editFile(repo: Repo, file: string, edit: (previous: string | undefined) => string | undefined): string[] {
  const location = path.join(repo.root, file)
  const previous = readIfThere(location)
  const text = edit(previous)
  if (text === previous) return []
  if (text === undefined) rmSync(location)
  else writeFileAtomic(location, text)
  return [file]
}
