import path from 'node:path/posix'
import { CairnError } from '@cairn/protocol/error'
import type { FileTree } from '../repo/file-tree.ts'
import { type LockFile, parseLockFile } from './lock-file.ts'
import { definitionsOf, NO_PIPELINE, type PipelineFile, pipelineOf, readPipeline } from './pipeline-file.ts'
import { parseStageFile } from './stage-file.ts'
import { folderOf } from './stage-path.ts'
import type { Stage } from './stage.ts'
import { mayHoldTemplates } from './template-marks.ts'
import { display } from './yaml-read.ts'

export { findTargets, type Target } from './find-targets.ts'

/** Everything that a tree's stage files say. */
export interface Pipelines {
  /** By file, and in the order of the file. */
  stages: Stage[]
  /** Every dvc.yaml by its root-relative path: what it names at its top. */
  files: ReadonlyMap<string, PipelineFile>
}

export interface LoadOptions {
  /** Gets the files that cannot be read, which are left out then. */
  onBroken?: (file: string, error: CairnError) => void
}

/** Every stage of the tree. @throws CairnError STAGE_FILE_INVALID */
export async function loadStages(tree: FileTree): Promise<Stage[]> {
  return (await loadPipelines(tree)).stages
}

/**
 * Every stage and every dvc.yaml of the tree. Stage files inside of a tracked directory are the content of that directory and
 * no stages.
 * @throws CairnError STAGE_FILE_INVALID
 */
export async function loadPipelines(tree: FileTree, options: LoadOptions = {}): Promise<Pipelines> {
  const stages: Stage[] = []
  const files = new Map<string, PipelineFile>()
  const outs = new Set<string>()
  for (const file of shallowFirst(await tree.stageFiles())) {
    if (path.basename(file) === 'dvc.lock' || isInside(file, outs)) continue
    const pipeline = await loadFile(tree, file).catch((error: unknown) => {
      if (!options.onBroken || !(error instanceof CairnError)) throw error
      options.onBroken(file, error)
      return undefined
    })
    if (pipeline === undefined) continue
    if (path.basename(file) === 'dvc.yaml') files.set(file, pipeline)
    for (const stage of pipeline.stages) {
      stages.push(stage)
      for (const out of stage.outs) outs.add(out.path)
    }
  }
  // A directory's own stage file may come after a file inside of it.
  const visible = stages.filter((stage) => !isInside(stage.file, outs))
  return { stages: visible.toSorted((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0)), files }
}

const shallowFirst = (files: readonly string[]): string[] => files.toSorted((a, b) => a.split('/').length - b.split('/').length)

function isInside(file: string, outs: ReadonlySet<string>): boolean {
  if (outs.size === 0) return false
  for (let cut = file.lastIndexOf('/'); cut > 0; cut = file.lastIndexOf('/', cut - 1)) {
    if (outs.has(file.slice(0, cut))) return true
  }
  return false
}

async function loadFile(tree: FileTree, file: string): Promise<PipelineFile | undefined> {
  const text = await readText(tree, file)
  if (text === undefined) return undefined
  if (path.basename(file) !== 'dvc.yaml') return { ...NO_PIPELINE, stages: [parseStageFile(text, file)] }
  const lockFile = path.join(folderOf(file), 'dvc.lock')
  const lockText = await readText(tree, lockFile)
  const lock: LockFile | undefined = lockText === undefined ? undefined : parseLockFile(lockText, lockFile)
  const read = readPipeline(text, file)
  if (!mayHoldTemplates(text)) return pipelineOf(read, definitionsOf(read), lock)
  const { expandTemplates } = await import('./templates.ts')
  const { top, definitions } = await expandTemplates(read, {
    readText: (name) => readText(tree, name),
    ...(tree.parsing && { parsing: tree.parsing }),
  })
  return pipelineOf({ ...read, top }, definitions, lock)
}

async function readText(tree: FileTree, file: string): Promise<string | undefined> {
  const bytes = await tree.read(file)
  if (bytes === undefined) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new CairnError('STAGE_FILE_INVALID', `${display(file)} is invalid: not UTF-8 text`, { cause })
  }
}
