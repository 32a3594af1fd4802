import type { Response } from 'express'

const PULSE_MILLISECONDS = 15_000

/**
 * Works on an answer that may take long. The client is told now and then that it is under way ("102 Processing"), since a
 * silent connection is taken for a dead one. For native clients only.
 */
export async function withPulse<T>(res: Response, work: () => Promise<T>): Promise<T> {
  const pulse = setInterval(() => {
    if (!res.headersSent && !res.destroyed) res.writeProcessing()
  }, PULSE_MILLISECONDS)
  try {
    return await work()
  } finally {
    clearInterval(pulse)
  }
}
