import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import { writeFileAtomic } from '../io/atomic-write.ts'
import type { Repo } from '../repo/repo.ts'
import { removeFromLockFile } from './lock-file.ts'
import { removeFromPipelineFile } from './pipeline-file.ts'
import { folderOf } from './stage-path.ts'
import type { Stage } from './stage.ts'

/** Takes a stage out of its files; files that it leaves empty go. Returns the root-relative paths of those that changed. */
export function removeStage(repo: Repo, stage: Stage): string[] {
  const { name, file } = stage
  if (name === undefined) return edit(repo, file, () => undefined)
  const lockFile = path.posix.join(folderOf(file), 'dvc.lock')
  return [
    ...edit(repo, file, (text) => removeFromPipelineFile(text, file, name)),
    ...edit(repo, lockFile, (text) => removeFromLockFile(text, name)),
  ]
}

function edit(repo: Repo, file: string, change: (text: string) => string | undefined): string[] {
  const location = path.join(repo.root, file)
  const before = readIfThere(location)
  if (before === undefined) return []
  const after = change(before)
  if (after === before) return []
  if (after === undefined) rmSync(location)
  else writeFileAtomic(location, after)
  return [file]
}

function readIfThere(location: string): string | undefined {
  try {
    return readFileSync(location, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}
