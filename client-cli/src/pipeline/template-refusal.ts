import { CairnError } from '@cairn/protocol/error'
import type { Stage } from './stage.ts'

/** @throws CairnError COMMAND_FAILED for a stage that a template made: there is no definition of its own to change or take out */
export function refuseTemplated(stage: Stage, action: 'change' | 'remove'): void {
  if (stage.template === undefined) return
  const { group } = stage.template
  throw new CairnError('COMMAND_FAILED', `cannot ${action} a parametrized stage: '${stage.address}'`, {
    hint: `edit ${group === undefined ? 'it' : `'${group}'`} in '${stage.file}'`,
  })
}
