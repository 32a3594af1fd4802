import type { Response } from 'express'
import type { HttpContext } from './context.ts'
import { withPulse } from './pulse.ts'

/** Does a long piece of work for a delta when its turn comes, with a pulse from the start. @throws CairnError OVERLOADED when the line is too long */
export async function inTurn<T>(context: HttpContext, res: Response, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return withPulse(res, async () => {
    const leave = await context.assembly.enter(0, { wait: true, signal })
    try {
      return await work()
    } finally {
      leave()
    }
  })
}
