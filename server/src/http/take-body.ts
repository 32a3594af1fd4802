import type { Request } from 'express'
import type { Bytes } from '../domain/ports/blob-store.ts'
import { announcedLength, readBody, refuseTooLarge } from './body.ts'
import type { HttpContext } from './context.ts'

/** What a body that streams through holds in memory, about: chunks on their way to the disk or one part for S3. */
export const STREAM_BYTES = 1024 * 1024

export interface TakeBody {
  limit: number
  /** What it will hold in memory, in bytes. */
  memory: number
  /** A stock client waits in line where a native one is told to come back. */
  wait: boolean
  signal: AbortSignal
}

/** Lets a body in when there is room for it, and gives it to `use` as it arrives. @throws CairnError BODY_TOO_LARGE, OVERLOADED */
export async function takeBody<T>(
  context: HttpContext,
  req: Request,
  options: TakeBody,
  use: (bytes: Bytes, size: number | undefined) => Promise<T>,
): Promise<T> {
  refuseTooLarge(req, options.limit)
  const release = await context.admission.enter(options.memory, options)
  try {
    return await use(readBody(req, { limit: options.limit, idleSeconds: context.limits.bodyIdleSeconds }), announcedLength(req))
  } finally {
    release()
  }
}
