import type { Request } from 'express'
import { DIGESTS_TYPE, MAX_DIGESTS, missingRequest } from '@cairn/protocol/api'
import { type Digest, PACKED_DIGEST_BYTES, packDigests, unpackDigests } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { announcedLength, readWhole } from './body.ts'
import type { HttpContext } from './context.ts'
import { parse, readJson } from './handler.ts'

/** A packed digest of 17 bytes goes to the database and comes back in some 90; as JSON it is a string first, of as much as it was long. */
const PACKED_FACTOR = 6
const JSON_FACTOR = 8
/** What a string, a row and its place in an array take more. */
const STRINGS_FACTOR = 16
const BASE_BYTES = 256 * 1024

interface ListOptions {
  max: number
  signal: AbortSignal
}

/** Reads the digests of a question, packed or JSON, in room set aside for them, and answers it in that room. `use` gets them packed. */
export async function withPackedDigests<T>(
  context: HttpContext,
  req: Request,
  options: ListOptions,
  use: (packed: Uint8Array) => Promise<T>,
): Promise<T> {
  return inRoom(context, req, options, PACKED_FACTOR, async () => {
    const packed = isPacked(req) ? await readPacked(context, req) : packDigests(await readList(context, req))
    refuseTooMany(packed.length / PACKED_DIGEST_BYTES, options)
    return use(packed)
  })
}

/** The same for a question that works on each digest by itself. */
export async function withDigests<T>(
  context: HttpContext,
  req: Request,
  options: ListOptions,
  use: (digests: Digest[]) => Promise<T>,
): Promise<T> {
  return inRoom(context, req, options, STRINGS_FACTOR, async () => {
    const digests = isPacked(req) ? unpackDigests(await readPacked(context, req)) : await readList(context, req)
    refuseTooMany(digests.length, options)
    return use(digests)
  })
}

async function inRoom<T>(
  context: HttpContext,
  req: Request,
  options: ListOptions,
  packedFactor: number,
  use: () => Promise<T>,
): Promise<T> {
  const length = announcedLength(req) ?? context.limits.jsonBytes / 4
  const memory = BASE_BYTES + Math.min(length, context.limits.jsonBytes) * (isPacked(req) ? packedFactor : JSON_FACTOR)
  const release = await context.admission.enter(memory, { wait: false, signal: options.signal })
  try {
    return await use()
  } finally {
    release()
  }
}

function refuseTooMany(count: number, { max }: ListOptions): void {
  if (count > max) throw new CairnError('BAD_REQUEST', `${count} digests at once; at most ${max} are accepted`)
}

const isPacked = (req: Request): boolean => req.headers['content-type']?.split(';', 1)[0]?.trim() === DIGESTS_TYPE

async function readList(context: HttpContext, req: Request): Promise<Digest[]> {
  return parse(missingRequest, await readJson(context, req), 'body').digests
}

/** @throws CairnError BAD_DIGEST when it is cut in the middle of one, or a kind byte is unknown */
async function readPacked(context: HttpContext, req: Request): Promise<Uint8Array> {
  const limit = MAX_DIGESTS * PACKED_DIGEST_BYTES
  const packed = await readWhole(req, { limit, idleSeconds: context.limits.bodyIdleSeconds })
  if (packed.length % PACKED_DIGEST_BYTES !== 0)
    throw new CairnError('BAD_DIGEST', `a digest list of ${packed.length} bytes is not a multiple of ${PACKED_DIGEST_BYTES}`)
  for (let at = PACKED_DIGEST_BYTES - 1; at < packed.length; at += PACKED_DIGEST_BYTES) {
    if ((packed[at] ?? 0) > 3) throw new CairnError('BAD_DIGEST', `kind byte ${packed[at]} is unknown`)
  }
  return packed
}
