import type { Request, Response } from 'express'
import { MAX_TREE_DELTA_BYTES } from '@cairn/protocol/limits'
import type { Bytes } from '../domain/ports/blob-store.ts'
import { announcedLength, readDecoded, readWhole, refuseTooLarge } from './body.ts'
import type { HttpContext } from './context.ts'

/** What a tree holds in memory while it passes, in proportion to its bytes: ids and md5s of entries of a hundred bytes. */
const PLAIN_FACTOR = 1
/** A listing shrinks to a third or less as gzip. */
const GZIP_FACTOR = 4
const UNKNOWN_BYTES = 4 * 1024 * 1024
const BASE_BYTES = 1024 * 1024

/**
 * Reads a tree as it arrives, raw or gzip, once there is room for what is kept of it; the room is held until the answer is
 * out. Trees wait in line for it, also those of native clients: a large one fits only now and then.
 * @throws CairnError BODY_TOO_LARGE also for the inflated bytes, OVERLOADED
 */
export async function readTreeBytes(context: HttpContext, req: Request, res: Response, signal: AbortSignal): Promise<Bytes> {
  const { treeBytes, bodyIdleSeconds } = context.limits
  refuseTooLarge(req, treeBytes)
  const factor = req.headers['content-encoding'] === 'gzip' ? GZIP_FACTOR : PLAIN_FACTOR
  const memory = Math.min(treeBytes, (announcedLength(req) ?? UNKNOWN_BYTES) * factor)
  await holdRoom(context, res, memory, signal)
  return readDecoded(req, { limit: treeBytes, idleSeconds: bodyIdleSeconds })
}

/** A tree's delta, whole. `baseBytes` is the size of what it is applied to, about what it will make. @throws as `readTreeBytes` */
export async function readTreeDelta(
  context: HttpContext,
  req: Request,
  res: Response,
  { baseBytes, signal }: { baseBytes: number; signal: AbortSignal },
): Promise<Uint8Array> {
  refuseTooLarge(req, MAX_TREE_DELTA_BYTES)
  const delta = Math.min(MAX_TREE_DELTA_BYTES, (announcedLength(req) ?? UNKNOWN_BYTES) * GZIP_FACTOR)
  await holdRoom(context, res, delta + baseBytes, signal)
  return readWhole(req, { limit: MAX_TREE_DELTA_BYTES, idleSeconds: context.limits.bodyIdleSeconds })
}

async function holdRoom(context: HttpContext, res: Response, bytes: number, signal: AbortSignal): Promise<void> {
  const release = await context.admission.enter(BASE_BYTES + bytes, { wait: true, signal })
  if (res.closed) release()
  else res.once('close', release)
}
