import type { Request } from 'express'
import { announcedLength, readWhole, refuseTooLarge } from './body.ts'
import type { HttpContext } from './context.ts'

/** A listing shrinks to a third as gzip, and grows threefold when it is parsed. */
const PLAIN_FACTOR = 4
const GZIP_FACTOR = 12
const UNKNOWN_BYTES = 4 * 1024 * 1024

/**
 * Reads a tree whole, raw or gzip, once there is room for it. The room is given back with the bytes: what follows is short.
 * @throws CairnError BODY_TOO_LARGE also for the inflated bytes, OVERLOADED
 */
export async function readTreeBytes(
  context: HttpContext,
  req: Request,
  options: { wait: boolean; signal: AbortSignal },
): Promise<Buffer> {
  const { treeBytes, bodyIdleSeconds } = context.limits
  refuseTooLarge(req, treeBytes)
  const factor = req.headers['content-encoding'] === 'gzip' ? GZIP_FACTOR : PLAIN_FACTOR
  const memory = Math.min(treeBytes, announcedLength(req) ?? UNKNOWN_BYTES) * factor
  const release = await context.admission.enter(memory, options)
  try {
    return await readWhole(req, { limit: treeBytes, idleSeconds: bodyIdleSeconds })
  } finally {
    release()
  }
}
