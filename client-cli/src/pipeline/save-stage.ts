import path from 'node:path'
import type { Repo } from '../repo/repo.ts'
import { editFile } from './edit-file.ts'
import { updateLockFile } from './lock-file.ts'
import { editMetricList, listedMetrics, updatePipelineFile } from './pipeline-edit.ts'
import { serializeStageFile } from './stage-file.ts'
import { folderOf } from './stage-path.ts'
import type { MetricSpec, Stage } from './stage.ts'

/**
 * Writes what a stage is and what its last run recorded: its `.dvc` file, or its definition in dvc.yaml and (when it was run:
 * `lockedCmd`) its entry in dvc.lock. What a template made keeps its template. Files whose content stays the same are not touched. Each file is replaced whole.
 * `later`: see updateLockFile. Returns the root-relative paths of the files that changed.
 */
export function writeStage(repo: Repo, stage: Stage, later?: ReadonlySet<string>): string[] {
  if (stage.kind !== 'pipeline') return editFile(repo, stage.file, (previous) => serializeStageFile(stage, previous))
  const definition = stage.template ? [] : editFile(repo, stage.file, (previous) => updatePipelineFile(previous, stage))
  if (stage.lockedCmd === undefined) return definition
  return [
    ...definition,
    ...editFile(repo, path.posix.join(folderOf(stage.file), 'dvc.lock'), (previous) => updateLockFile(previous, stage, later)),
  ]
}

/**
 * Names an output of added data as a metric at the top of the dvc.yaml beside its file, or no longer: a `.dvc` file of today has
 * no place for it. `edit` gets `{}` when it is named there now. Returns the root-relative paths of the files that changed.
 */
export function editTopMetrics(
  repo: Repo,
  stage: Stage,
  metric: string,
  edit: (current: MetricSpec | undefined, stage: Stage) => MetricSpec | undefined,
): string[] {
  const file = path.posix.join(folderOf(stage.file), 'dvc.yaml')
  return editFile(repo, file, (previous) => {
    const listed = previous === undefined ? [] : listedMetrics(previous, file)
    const wanted = edit(listed.includes(metric) ? {} : undefined, stage)
    return editMetricList(previous, file, metric, wanted !== undefined)
  })
}
