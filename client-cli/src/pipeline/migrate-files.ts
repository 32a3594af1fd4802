import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import { writeFileAtomic } from '../io/atomic-write.ts'
import type { Repo } from '../repo/repo.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { updateLockFile } from './lock-file.ts'
import type { Migration, MigrationStep } from './migrate.ts'
import { storeRenamed } from './migrate-content.ts'
import { editMetricList, updatePipelineFile } from './pipeline-edit.ts'
import { serializeStageFile } from './stage-file.ts'
import { folderOf } from './stage-path.ts'

/**
 * Carries out a migration in which nothing is missing: objects first, then dvc.lock, then dvc.yaml, then the old files go. Each
 * file is replaced whole, so after a kill at any point every stage is still in one of the two, and a second run completes it.
 * Returns the root-relative paths of the files that changed.
 */
export async function carryOutMigration(
  repo: Repo,
  workspace: Workspace,
  { steps }: Migration,
  signal: AbortSignal,
): Promise<string[]> {
  for (const { objects } of steps) {
    for (const { path: location, renamed } of objects) await storeRenamed(workspace, location, renamed, signal)
  }
  const changed = [
    ...writeLocks(repo, steps),
    ...writePipelines(repo, steps),
    ...writeStageFiles(repo, steps),
    ...ignoreTmp(repo),
  ]
  return [...new Set([...changed, ...removeOld(repo, steps)])]
}

function writeLocks(repo: Repo, steps: readonly MigrationStep[]): string[] {
  const ran = steps.filter(({ after }) => after.kind === 'pipeline' && after.lockedCmd !== undefined)
  return perFile(ran, ({ after }) => path.posix.join(folderOf(after.file), 'dvc.lock')).flatMap(([file, group]) =>
    edit(repo, file, (previous) => group.reduce((text: string | undefined, { after }) => updateLockFile(text, after), previous)),
  )
}

function writePipelines(repo: Repo, steps: readonly MigrationStep[]): string[] {
  const concerned = steps.filter(({ after, metrics }) => after.kind === 'pipeline' || metrics.length > 0)
  return perFile(concerned, ({ after }) => path.posix.join(folderOf(after.file), 'dvc.yaml')).flatMap(([file, group]) =>
    edit(repo, file, (previous) =>
      group.reduce((text: string | undefined, { after, metrics }) => {
        const defined = after.kind === 'pipeline' ? updatePipelineFile(text, after) : text
        return metrics.reduce((each: string | undefined, metric) => editMetricList(each, file, metric, true), defined)
      }, previous),
    ),
  )
}

/** Written anew: what 2019 wrote into a `.dvc` file by itself has no place in today's. */
function writeStageFiles(repo: Repo, steps: readonly MigrationStep[]): string[] {
  return steps.flatMap(({ after }) => (after.kind === 'data' ? edit(repo, after.file, () => serializeStageFile(after)) : []))
}

/** The ignore list of 2019 does not know `.dvc/tmp`. */
function ignoreTmp(repo: Repo): string[] {
  if (repo.git === undefined) return []
  return edit(repo, '.dvc/.gitignore', (previous = '') => {
    if (previous.split('\n').some((line) => line.trim() === '/tmp')) return previous
    return `${previous === '' || previous.endsWith('\n') ? previous : `${previous}\n`}/tmp\n`
  })
}

function removeOld(repo: Repo, steps: readonly MigrationStep[]): string[] {
  return steps.flatMap(({ before, after }) => {
    if (before.file === after.file) return []
    rmSync(path.join(repo.root, before.file), { force: true })
    return [before.file]
  })
}

function perFile(steps: readonly MigrationStep[], fileOf: (step: MigrationStep) => string): Array<[string, MigrationStep[]]> {
  const groups = new Map<string, MigrationStep[]>()
  for (const step of steps) groups.set(fileOf(step), [...(groups.get(fileOf(step)) ?? []), step])
  return [...groups]
}

function edit(repo: Repo, file: string, change: (previous: string | undefined) => string | undefined): string[] {
  const location = path.join(repo.root, file)
  const previous = readIfThere(location)
  const text = change(previous)
  if (text === undefined || text === previous) return []
  writeFileAtomic(location, text, { fsync: true })
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
