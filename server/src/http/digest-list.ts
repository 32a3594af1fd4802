import type { Request } from 'express'
import { DIGESTS_TYPE, MAX_DIGESTS, missingRequest } from '@cairn/protocol/api'
import { type Digest, PACKED_DIGEST_BYTES, unpackDigests } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { announcedLength, readWhole } from './body.ts'
import type { HttpContext } from './context.ts'
import { parse, readJson } from './handler.ts'

/** A packed digest of 17 bytes becomes a string of some 60, a row and its place in an array. */
const MEMORY_FACTOR = 16
const BASE_BYTES = 256 * 1024

/** Reads the digests of a question, packed or JSON, in room set aside for them, and answers it in that room. */
export async function withDigests<T>(
  context: HttpContext,
  req: Request,
  options: { max: number; signal: AbortSignal },
  use: (digests: Digest[]) => Promise<T>,
): Promise<T> {
  const length = announcedLength(req) ?? context.limits.jsonBytes / 4
  const memory = BASE_BYTES + Math.min(length, context.limits.jsonBytes) * (isPacked(req) ? MEMORY_FACTOR : MEMORY_FACTOR / 2)
  const release = await context.admission.enter(memory, { wait: false, signal: options.signal })
  try {
    const digests = await readDigests(context, req)
    if (digests.length > options.max)
      throw new CairnError('BAD_REQUEST', `${digests.length} digests at once; at most ${options.max} are accepted`)
    return await use(digests)
  } finally {
    release()
  }
}

const isPacked = (req: Request): boolean => req.headers['content-type']?.split(';', 1)[0]?.trim() === DIGESTS_TYPE

async function readDigests(context: HttpContext, req: Request): Promise<Digest[]> {
  if (!isPacked(req)) return parse(missingRequest, await readJson(context, req), 'body').digests
  const limit = MAX_DIGESTS * PACKED_DIGEST_BYTES
  return unpackDigests(await readWhole(req, { limit, idleSeconds: context.limits.bodyIdleSeconds }))
}
