import path from 'node:path'
import type { Repo } from '../repo/repo.ts'
import { editFile } from './edit-file.ts'
import { removeFromLockFile } from './lock-file.ts'
import { removeFromPipelineFile } from './pipeline-edit.ts'
import { folderOf } from './stage-path.ts'
import type { Stage } from './stage.ts'

/** Takes a stage out of its files; files that it leaves empty go. Returns the root-relative paths of those that changed. */
export function removeStage(repo: Repo, stage: Stage): string[] {
  const { name, file } = stage
  if (name === undefined) return editFile(repo, file, () => undefined)
  const lockFile = path.posix.join(folderOf(file), 'dvc.lock')
  return [
    ...editFile(repo, file, (text) => text && removeFromPipelineFile(text, file, name)),
    ...editFile(repo, lockFile, (text) => text && removeFromLockFile(text, name)),
  ]
}
