import { CairnError } from '@cairn/protocol/error'
import type { Command, Context } from '../command.ts'
import { writeStage } from '../pipeline/save-stage.ts'
import { relativeTo } from '../pipeline/stage-path.ts'
import type { Stage } from '../pipeline/stage.ts'
import { refuseTemplated } from '../pipeline/template-refusal.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { findStages } from './select-stages.ts'
import { withStages, type StageSession } from './session.ts'

/** `freeze`, `unfreeze` and their names of 2019, `lock` and `unlock`. */
function freezeCommand(name: string, frozen: boolean): Command {
  return {
    name,
    summary: frozen ? 'Keep stages from being run, whatever changes before them.' : 'Let frozen stages run again.',
    arguments: [{ name: '<target...>', summary: 'Stages or stage files.' }],
    examples: [`cairn ${name} train.dvc`, `cairn ${name} prepare train`],
    run: (context, args) =>
      withStages(context, (session) =>
        withRepoLock(session.repo, context.signal, async () => {
          const stages = await session.load()
          const failures: CairnError[] = []
          for (const target of args) {
            try {
              for (const stage of findStages(session, stages, [target])) change(session, context, stage, frozen)
            } catch (error) {
              if (!(error instanceof CairnError)) throw error
              failures.push(failure(`${frozen ? 'freeze' : 'unfreeze'} '${target}'`, error))
            }
          }
          tellFailures(context, failures)
        }),
      ),
  }
}

function change({ repo, cwd }: StageSession, { report }: Context, stage: Stage, frozen: boolean): void {
  refuseTemplated(stage, 'change')
  writeStage(repo, { ...stage, frozen })
  if (stage.name !== undefined)
    report({ type: 'result', text: `Modifying stage '${stage.name}' in '${relativeTo(cwd, stage.file)}'` })
}

const failure = (what: string, { message, hint }: CairnError): CairnError =>
  new CairnError('COMMAND_FAILED', `failed to ${what} - ${message}`, hint === undefined ? {} : { hint })

/** The other targets are done all the same; the last failure ends the command. */
function tellFailures({ report }: Context, failures: readonly CairnError[]): void {
  for (const { message } of failures.slice(0, -1)) report({ type: 'warning', text: message })
  const last = failures.at(-1)
  if (last) throw last
}

export const freeze = freezeCommand('freeze', true)
export const unfreeze = freezeCommand('unfreeze', false)
export const lock = freezeCommand('lock', true)
export const unlock = freezeCommand('unlock', false)
