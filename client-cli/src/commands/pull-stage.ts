import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import type { TurnOptions } from '../pipeline/stage-turn.ts'
import { bringOutputs } from './fetch.ts'
import { outputsOf } from './select-outputs.ts'
import type { Session } from './session.ts'

/**
 * Brings outs of a stage from their remotes into the cache. What cannot be brought is told, each reason once, and the stage is
 * then run instead.
 */
export function pullFromRemote({ repo, workspace }: Session, context: Context): NonNullable<TurnOptions['pull']> {
  const told = new Set<string>()
  const warn = (text: string) => {
    if (!told.has(text)) context.report({ type: 'warning', text })
    told.add(text)
  }
  return async (stage, outs) => {
    const outputs = outputsOf(
      outs.map((out) => ({ stage, out })),
      false,
    )
    try {
      const { left } = await bringOutputs(repo, context, { cache: workspace.cache, outputs, options: {} })
      return left.length === 0
    } catch (error) {
      if (context.signal.aborted || !(error instanceof CairnError)) throw error
      warn(error.message)
      return false
    }
  }
}
