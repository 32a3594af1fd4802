import { existsSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import { loadPipelines } from '../pipeline/load.ts'
import { recordInputs, recordOuts, type Running } from '../pipeline/run-stage.ts'
import { writeStage } from '../pipeline/save-stage.ts'
import { workingTree } from '../repo/file-tree.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import type { GitWriter } from '../repo/git-writer.ts'
import { type NewExperiment, recordExperiment } from './record.ts'
import { isWhole } from './standing.ts'

/** Takes up the outputs as they stand, then commits the workspace as an experiment. Resolves with its commit. */
export async function saveExperiment(running: Running, writer: GitWriter, experiment: NewExperiment): Promise<string> {
  const { workspace, signal, touched } = running
  const { repo } = workspace
  return withRepoLock(repo, signal, async () => {
    const stands = (file: string) => existsSync(path.resolve(repo.root, file))
    for (const stage of (await loadPipelines(workingTree(repo))).stages) {
      // What was never made cannot be taken up, and does not keep the rest from being saved.
      if (!isWhole(stage, stands)) continue
      try {
        const recorded = await recordOuts(running, await recordInputs(workspace, stage), { commit: true, relink: false })
        for (const file of writeStage(repo, recorded)) touched.add(file)
      } catch (error) {
        if (!isCode(error, 'STAGE_FAILED')) throw error
      }
    }
    return recordExperiment(repo, writer, { ...experiment, files: [...touched, ...(experiment.files ?? [])] })
  })
}
