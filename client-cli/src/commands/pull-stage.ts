import { CairnError } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import type { TurnOptions } from '../pipeline/stage-turn.ts'
import { bringOutputs } from './fetch.ts'
import { outputsOf } from './select-outputs.ts'
import type { Session } from './session.ts'
import { fetchRuns } from '../transfer/runs.ts'
import { moveRuns } from './transfer.ts'

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
      // What Git keeps of a stage's outs, a run cache has in the remote.
      outs.map((out) => ({ stage, out: { ...out, cache: true } })),
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

/** Brings the default remote's run cache. That it cannot be had is told: then what it could have spared is run. */
export async function pullRuns({ repo, workspace }: Session, context: Context): Promise<void> {
  try {
    await moveRuns(repo, context, workspace.cache, { options: { runCache: true }, move: fetchRuns })
  } catch (error) {
    if (context.signal.aborted || !(error instanceof CairnError)) throw error
    context.report({ type: 'warning', text: `the run cache was not pulled: ${error.message}` })
  }
}
