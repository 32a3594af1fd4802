import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { reproduce, type ReproduceOptions, type Reproduced, type Work } from '../pipeline/reproduce.ts'
import type { Running } from '../pipeline/run-stage.ts'
import { readIfThere } from '../repo/ignore.ts'
import type { GitWriter } from '../repo/git-writer.ts'
import type { Repo } from '../repo/repo.ts'
import type { Overrides } from './override.ts'
import { recordExperiment } from './record.ts'
import { setParams } from './set-params.ts'
import { experimentFiles, orRestore } from './standing.ts'

export interface RunOptions extends ReproduceOptions {
  name: string
  baseline: string
  message?: string | undefined
  overrides: Overrides
}

/**
 * Sets params, reproduces, and commits the outcome as an experiment, all in the workspace of `running`. Whatever fails, the
 * workspace is what it was. Resolves with the experiment's commit.
 */
export async function runExperiment(
  running: Running,
  writer: GitWriter,
  planWork: () => Promise<Work>,
  options: RunOptions,
): Promise<{ rev: string; reproduced: Reproduced }> {
  const { repo } = running.workspace
  const { name, baseline, message, overrides } = options
  const before = await writer.tree([...(await experimentFiles(repo)), ...overrides.keys()])
  return orRestore({ repo, report: running.report }, writer, before, async () => {
    for (const [file, text] of textsOf(repo, overrides)) writeFileAtomic(path.join(repo.root, file), text)
    const env = { ...running.env, DVC_EXP_NAME: name, DVC_EXP_BASELINE_REV: baseline }
    const reproduced = await reproduce({ ...running, env }, planWork, options)
    if (options.onFailure !== 'ignore') refuseFailed(reproduced)
    running.signal.throwIfAborted()
    const files = [...running.touched, ...overrides.keys()]
    return { rev: await recordExperiment(repo, writer, { name, baseline, message, files }), reproduced }
  })
}

/** The params files with their new texts. All are made before one is written. @throws CairnError FAILED */
export function textsOf(repo: Repo, overrides: Overrides): Map<string, string> {
  const texts = new Map<string, string>()
  for (const [file, each] of overrides) texts.set(file, setParams(readIfThere(path.join(repo.root, file)), file, each))
  return texts
}

function refuseFailed({ failed }: Reproduced): void {
  if (failed.length === 0) return
  throw new CairnError('STAGE_FAILED', `failed to reproduce ${failed.map((stage) => `'${stage.address}'`).join(', ')}`)
}
