import type { IncomingMessage } from 'node:http'
import { createGunzip } from 'node:zlib'
import { CairnError } from '@cairn/protocol/error'
import type { Bytes } from '../domain/ports/blob-store.ts'
import { through } from './through.ts'

const INFLATED_CHUNK = 64 * 1024

export interface BodyOptions {
  /** The longest body accepted, in bytes. */
  limit: number
  idleSeconds: number
}

/** The announced length of a body; undefined when it comes in chunks. */
export function announcedLength(req: IncomingMessage): number | undefined {
  const text = req.headers['content-length']
  return text === undefined ? undefined : Number(text)
}

export const hasBody = (req: IncomingMessage): boolean =>
  req.headers['transfer-encoding'] !== undefined || (announcedLength(req) ?? 0) > 0

const uninvited = new WeakMap<IncomingMessage, () => void>()

/** For a sender that asks first ("Expect: 100-continue"): it is told to go on when its body is about to be read, and no sooner. */
export function holdInvitation(req: IncomingMessage, send: () => void): void {
  uninvited.set(req, send)
}

function invite(req: IncomingMessage): void {
  uninvited.get(req)?.()
  uninvited.delete(req)
}

/** True while the sender waits to be told to go on. */
export const waitsForInvitation = (req: IncomingMessage): boolean => uninvited.has(req)

/** @throws CairnError BODY_TOO_LARGE, before any of the body is read */
export function refuseTooLarge(req: IncomingMessage, limit: number): void {
  const length = announcedLength(req)
  if (length !== undefined && length > limit) throw tooLarge(limit)
}

function tooLarge(limit: number): CairnError {
  return new CairnError('BODY_TOO_LARGE', `the body is larger than ${limit} bytes, which is the most accepted here`)
}

/**
 * The body of a request as it arrives. Ends only when the sender said that it is complete.
 * @throws CairnError (while it is read) BODY_TOO_LARGE, BODY_TOO_SHORT when the connection ends early, BODY_STALLED
 */
export async function* readBody(req: IncomingMessage, options: BodyOptions): AsyncGenerator<Uint8Array> {
  refuseTooLarge(req, options.limit)
  invite(req)
  const stall = createStallClock(options.idleSeconds)
  // Not destroyed when the reader stops early: the answer still has to go out on this connection.
  const chunks = req.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Uint8Array>
  let size = 0
  let waiting = false
  try {
    for (;;) {
      waiting = true
      const read = await stall.race(chunks.next())
      waiting = false
      if (read.done) break
      size += read.value.length
      if (size > options.limit) throw tooLarge(options.limit)
      yield read.value
    }
  } catch (error) {
    if (error instanceof CairnError) throw error
    throw tooShort(size, error)
  } finally {
    stall.stop()
    // Gives the request back, so that the rest of the body can be drained. Behind a read that never came back it would wait for ever.
    if (!waiting) await chunks.return?.()
  }
  if (!req.complete) throw tooShort(size)
}

function tooShort(size: number, cause?: unknown): CairnError {
  return new CairnError(
    'BODY_TOO_SHORT',
    `the connection ended after ${size} bytes of the body`,
    cause === undefined ? {} : { cause },
  )
}

/** Times only the waiting for the sender, not the work between two chunks. */
function createStallClock(seconds: number): { race<T>(next: Promise<T>): Promise<T>; stop(): void } {
  let timer: NodeJS.Timeout | undefined
  return {
    race: (next) =>
      new Promise((resolve, reject) => {
        clearTimeout(timer)
        timer = setTimeout(
          () => reject(new CairnError('BODY_STALLED', `no byte of the body arrived for ${seconds} s`)),
          seconds * 1000,
        )
        next.then(resolve, reject).finally(() => clearTimeout(timer))
      }),
    stop: () => clearTimeout(timer),
  }
}

/** The whole of a body that is small by contract. `limit` holds for what is kept: the inflated bytes, where it came as gzip. */
export async function readWhole(req: IncomingMessage, options: BodyOptions): Promise<Buffer> {
  return collect(readDecoded(req, options), options.limit)
}

/**
 * A body as it arrives, inflated where it came as gzip; `limit` holds for both.
 * @throws CairnError as `readBody`, and BAD_REQUEST
 */
export function readDecoded(req: IncomingMessage, options: BodyOptions): Bytes {
  const encoding = req.headers['content-encoding']
  if (encoding === undefined || encoding === 'identity') return readBody(req, options)
  if (encoding !== 'gzip')
    throw new CairnError('BAD_REQUEST', `the content encoding '${encoding}' is not known here`, {
      hint: 'Send gzip or no encoding.',
    })
  return inflate(readBody(req, options), options.limit)
}

async function* inflate(source: Bytes, limit: number): AsyncGenerator<Uint8Array> {
  let size = 0
  try {
    for await (const chunk of through(source, createGunzip({ chunkSize: INFLATED_CHUNK }))) {
      size += chunk.length
      if (size > limit) throw tooLarge(limit)
      yield chunk
    }
  } catch (error) {
    if (error instanceof CairnError || !isZlibError(error)) throw error
    throw new CairnError('BAD_REQUEST', 'the body is not valid gzip', { cause: error })
  }
}

const isZlibError = (error: unknown): boolean => error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')

async function collect(source: Bytes, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (size > limit) throw tooLarge(limit)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}
