import type { Request, Response } from 'express'
import { announcedLength, readWhole, refuseTooLarge } from './body.ts'
import type { HttpContext } from './context.ts'

/** A listing shrinks to a third as gzip, and grows threefold when it is parsed. */
const PLAIN_FACTOR = 4
const GZIP_FACTOR = 12
const UNKNOWN_BYTES = 4 * 1024 * 1024

/**
 * Reads a tree whole, raw or gzip, once there is room for it; the room is held until the answer is out, since parsing takes
 * more than reading. Trees wait in line for it, also those of native clients: a large one fits only now and then.
 * @throws CairnError BODY_TOO_LARGE also for the inflated bytes, OVERLOADED
 */
export async function readTreeBytes(context: HttpContext, req: Request, res: Response, signal: AbortSignal): Promise<Buffer> {
  const { treeBytes, bodyIdleSeconds } = context.limits
  refuseTooLarge(req, treeBytes)
  const factor = req.headers['content-encoding'] === 'gzip' ? GZIP_FACTOR : PLAIN_FACTOR
  const memory = Math.min(treeBytes, announcedLength(req) ?? UNKNOWN_BYTES) * factor
  const release = await context.admission.enter(memory, { wait: true, signal })
  if (res.closed) release()
  else res.once('close', release)
  return readWhole(req, { limit: treeBytes, idleSeconds: bodyIdleSeconds })
}
