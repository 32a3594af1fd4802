import { readFileSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import { writeFileAtomic } from '../io/atomic-write.ts'
import type { Repo } from '../repo/repo.ts'
import { updateLockFile } from './lock-file.ts'
import { updatePipelineFile } from './pipeline-file.ts'
import { serializeStageFile } from './stage-file.ts'
import { folderOf } from './stage-path.ts'
import type { Stage } from './stage.ts'

/**
 * Writes what a stage is and what its last run recorded: its `.dvc` file, or its definition in dvc.yaml and (when it was run:
 * `lockedCmd`) its entry in dvc.lock. Files whose content stays the same are not touched. Each file is replaced whole.
 * Returns the root-relative paths of the files that changed.
 */
export function writeStage(repo: Repo, stage: Stage): string[] {
  if (stage.kind !== 'pipeline') return writeChanged(repo, stage.file, (previous) => serializeStageFile(stage, previous))
  const definition = writeChanged(repo, stage.file, (previous) => updatePipelineFile(previous, stage))
  if (stage.lockedCmd === undefined) return definition
  return [
    ...definition,
    ...writeChanged(repo, path.posix.join(folderOf(stage.file), 'dvc.lock'), (previous) => updateLockFile(previous, stage)),
  ]
}

function writeChanged(repo: Repo, file: string, edit: (previous: string | undefined) => string): string[] {
  const location = path.join(repo.root, file)
  const previous = readIfThere(location)
  const text = edit(previous)
  if (text === previous) return []
  writeFileAtomic(location, text)
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
