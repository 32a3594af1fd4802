import type { Response } from 'express'
import type { HttpContext } from './context.ts'

const PULSE_MILLISECONDS = 15_000

/**
 * Does a long piece of work for a delta when its turn comes. The client is told every now and then that it is still under way
 * ("102 Processing"): a silent connection is taken for a dead one. @throws CairnError OVERLOADED when the line is too long
 */
export async function inTurn<T>(context: HttpContext, res: Response, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const pulse = setInterval(() => {
    if (!res.headersSent && !res.destroyed) res.writeProcessing()
  }, PULSE_MILLISECONDS)
  try {
    const leave = await context.assembly.enter(0, { wait: true, signal })
    try {
      return await work()
    } finally {
      leave()
    }
  } finally {
    clearInterval(pulse)
  }
}
