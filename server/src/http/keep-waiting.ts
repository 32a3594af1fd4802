import type { Response } from 'express'

const PULSE_MILLISECONDS = 15_000

/**
 * Tells a client that waits for a long piece of work, every now and then, that it is still under way ("102 Processing"):
 * a silent connection is taken for a dead one after a minute. Call what it returns before the answer.
 */
export function keepWaiting(res: Response): () => void {
  const timer = setInterval(() => {
    if (!res.headersSent && !res.destroyed) res.writeProcessing()
  }, PULSE_MILLISECONDS)
  return () => clearInterval(timer)
}
