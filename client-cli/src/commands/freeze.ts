import type { Command } from '../command.ts'
import { findTargets } from '../pipeline/load.ts'
import { writeStage } from '../pipeline/save-stage.ts'
import { refuseTemplated } from '../pipeline/template-refusal.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { withStages } from './session.ts'

/** `freeze`, `unfreeze` and their names of 2019, `lock` and `unlock`. */
function freezeCommand(name: string, frozen: boolean): Command {
  return {
    name,
    summary: frozen ? 'Keep stages from being run, whatever changes before them.' : 'Let frozen stages run again.',
    arguments: [{ name: '<target...>', summary: 'Stages or stage files.' }],
    examples: [`cairn ${name} train.dvc`],
    run: (context, args) =>
      withStages(context, ({ repo, load, cwd }) =>
        withRepoLock(repo, context.signal, async () => {
          for (const { stage } of findTargets(await load(), args, cwd)) {
            if (stage.frozen === frozen) continue
            refuseTemplated(stage, 'change')
            writeStage(repo, { ...stage, frozen })
            if (stage.name !== undefined)
              context.report({ type: 'result', text: `Modifying stage '${stage.name}' in '${stage.file}'` })
          }
        }),
      ),
  }
}

export const freeze = freezeCommand('freeze', true)
export const unfreeze = freezeCommand('unfreeze', false)
export const lock = freezeCommand('lock', true)
export const unlock = freezeCommand('unlock', false)
