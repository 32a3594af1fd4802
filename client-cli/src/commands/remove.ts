import { lstatSync } from 'node:fs'
import path from 'node:path'
import { isLegacy } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { findTargets, type Target } from '../pipeline/find-targets.ts'
import { removeStage } from '../pipeline/remove-stage.ts'
import type { Stage } from '../pipeline/stage.ts'
import { refuseTemplated } from '../pipeline/template-refusal.ts'
import { removeFromGitIgnore } from '../repo/git-ignore.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { type Session, withSession } from './session.ts'

export const command: Command = {
  name: 'remove',
  summary: 'Stop tracking what a stage or .dvc file tracks.',
  description: 'The files stay, as writable copies of their own, unless --outs is given.',
  arguments: [{ name: '<target...>', summary: 'Stages and .dvc files.' }],
  options: [
    { flags: '--outs', summary: 'Delete the outputs too.' },
    { flags: '-f, --force', summary: 'With --outs: also what is saved nowhere.' },
  ],
  failureExit: 1,
  examples: ['cairn remove data.dvc', 'cairn remove train --outs'],
  run: (context, args, options) =>
    withSession(context, ['cairn', 'remove', ...args].join(' '), (session) =>
      withRepoLock(session.repo, session.signal, async () => {
        const stages = await session.load()
        const found = args.flatMap((target) => stagesOf(stages, target, session.cwd))
        for (const stage of found) refuseTemplated(stage, 'remove')
        for (const stage of found)
          await remove(session, stage, { outs: options['outs'] === true, force: options['force'] === true })
      }),
    ),
}

function stagesOf(stages: readonly Stage[], target: string, cwd: string): Stage[] {
  return targetsOf(stages, target, cwd).map(({ stage, out }) => {
    if (!out) return stage
    throw new CairnError('COMMAND_FAILED', `'${target}' is not a .dvc file. Do you mean '${stage.address}'?`)
  })
}

function targetsOf(stages: readonly Stage[], target: string, cwd: string): Target[] {
  try {
    return findTargets(stages, [target], cwd)
  } catch (cause) {
    if (!(cause instanceof CairnError) || cause.code !== 'FAILED') throw cause
    throw new CairnError('COMMAND_FAILED', cause.message, { cause, ...(cause.hint !== undefined && { hint: cause.hint }) })
  }
}

async function remove(
  { workspace, repo, touched }: Session,
  stage: Stage,
  options: { outs: boolean; force: boolean },
): Promise<void> {
  for (const out of stage.outs) {
    const stands = lstatSync(path.resolve(repo.root, out.path), { throwIfNoEntry: false }) !== undefined
    const legacy = out.recorded !== undefined && isLegacy(out.recorded.digest)
    if (options.outs) await workspace.remove(out.path, { force: options.force || !out.cache, legacy })
    else if (stands && out.cache) await workspace.unprotect(out.path)
    workspace.forget(out.path)
    if (out.cache) removeFromGitIgnore(repo, out.path)
  }
  for (const file of removeStage(repo, stage)) touched.add(file)
}
