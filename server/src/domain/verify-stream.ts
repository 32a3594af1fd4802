import { createHash, type Hash, hash } from 'node:crypto'
import { type Digest, isLegacy, md5Of } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { createLegacyHash } from './dos2unix.ts'
import type { Bytes } from './ports/blob-store.ts'

/** What bytes turned out to be, once all of them were seen. */
export interface Measured {
  /** 32 hex digits. */
  md5: string
  /** The md5 under DVC's old rule for texts; only measured for a legacy digest. */
  legacyMd5: string | undefined
  /** 32 bytes. */
  sha256: Uint8Array
  size: number
}

/** Learns what bytes are while they pass. One of `finish` and `close` ends it; closing one that is ended does nothing. */
export interface Meter {
  readonly size: number
  /** Where it answers with a promise, the next may come when that resolves. */
  update(chunk: Uint8Array): void | Promise<void>
  finish(): Measured | Promise<Measured>
  /** A second one that goes on from here. @throws a bug for a legacy digest */
  copy(): Meter
  close(): void
}

/** A meter that is done when it returns. */
interface LocalMeter extends Meter {
  update(chunk: Uint8Array): void
  finish(): Measured
}

export function createMeter(legacy: boolean): LocalMeter {
  return meterFrom(
    { md5: createHash('md5'), sha256: createHash('sha256'), legacyMd5: legacy ? createLegacyHash() : undefined },
    0,
  )
}

function meterFrom(
  { md5, sha256, legacyMd5 }: { md5: Hash; sha256: Hash; legacyMd5: ReturnType<typeof createLegacyHash> | undefined },
  start: number,
): LocalMeter {
  let size = start
  return {
    get size() {
      return size
    },
    update(chunk) {
      size += chunk.length
      md5.update(chunk)
      sha256.update(chunk)
      legacyMd5?.update(chunk)
    },
    finish: () => ({ md5: md5.digest('hex'), legacyMd5: legacyMd5?.digest(), sha256: sha256.digest(), size }),
    copy() {
      if (legacyMd5) throw new Error('a legacy hash has no copy')
      return meterFrom({ md5: md5.copy(), sha256: sha256.copy(), legacyMd5: undefined }, size)
    },
    close: () => undefined,
  }
}

export function measureBytes(bytes: Uint8Array, options: { legacy: boolean }): Measured {
  // Small members come by the ten thousand, and a hash object costs more than their bytes.
  if (!options.legacy)
    return { md5: hash('md5', bytes), legacyMd5: undefined, sha256: hash('sha256', bytes, 'buffer'), size: bytes.length }
  const meter = createMeter(options.legacy)
  meter.update(bytes)
  return meter.finish()
}

/** A legacy object may be named by the md5 of its bytes or of its text with LF line ends. */
export function hasDigest(measured: Measured, digest: Digest): boolean {
  const wanted = md5Of(digest)
  return measured.md5 === wanted || (isLegacy(digest) && measured.legacyMd5 === wanted)
}

/** @throws CairnError DIGEST_MISMATCH */
export function requireDigest(measured: Measured, digest: Digest): void {
  if (hasDigest(measured, digest)) return
  throw new CairnError('DIGEST_MISMATCH', `${digest}: the ${measured.size} bytes received hash to ${measured.md5}`, {
    hint: 'The file changed while it was sent, or the copy in the local cache is damaged.',
  })
}

/**
 * Passes bytes on while `see` looks at them. The last chunk is held back until `end` has found nothing wrong, so nobody down
 * the line can take wrong bytes for complete. Chunks without bytes are left out. `over` is told of every kind of end.
 */
export async function* holdBack(source: Bytes, { see, end, over }: Looking): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | undefined
  try {
    for await (const chunk of source) {
      if (chunk.length === 0) continue
      const seen = see(chunk)
      if (seen) await seen
      if (held) yield held
      held = chunk
    }
    await end()
    if (held) yield held
  } finally {
    over?.()
  }
}

interface Looking {
  see: (chunk: Uint8Array) => void | Promise<void>
  end: () => void | Promise<void>
  over?: () => void
}

export interface VerifiedStream {
  /** To be read once. */
  bytes: Bytes
  /** Only after `bytes` has ended well. */
  measured(): Measured
}

/**
 * Passes bytes on while it hashes them, and holds the last chunk back until all of them are known to be right.
 * @throws CairnError (from `bytes`) DIGEST_MISMATCH, BODY_TOO_LARGE beyond `limit` bytes
 */
export function verifyStream(
  source: Bytes,
  options: { digest?: Digest | undefined; limit: number; meter?: Meter },
): VerifiedStream {
  const { digest, limit, meter = createMeter(digest !== undefined && isLegacy(digest)) } = options
  let measured: Measured | undefined
  const bytes = holdBack(source, {
    see(chunk) {
      if (meter.size + chunk.length > limit) throw new CairnError('BODY_TOO_LARGE', `an object has at most ${limit} bytes here`)
      return meter.update(chunk)
    },
    async end() {
      const result = await meter.finish()
      if (digest) requireDigest(result, digest)
      measured = result
    },
    over: () => meter.close(),
  })
  return {
    bytes,
    measured() {
      if (!measured) throw new Error('measured() was called before the stream ended')
      return measured
    },
  }
}

/**
 * Passes stored bytes on and holds the last chunk back until their sha256 and size agree with what was recorded.
 * @throws CairnError (while it is read) OBJECT_DAMAGED
 */
export function verifyStored(
  source: Bytes,
  wanted: { digest: Digest; size: number; sha256: Uint8Array },
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let size = 0
  return holdBack(source, {
    see(chunk) {
      hash.update(chunk)
      size += chunk.length
    },
    end() {
      if (size !== wanted.size || !hash.digest().equals(wanted.sha256))
        throw new CairnError('OBJECT_DAMAGED', `${wanted.digest}: the stored bytes no longer hash to what was received`)
    },
  })
}

export function isIntact(bytes: Uint8Array, wanted: { size: number; sha256: Uint8Array }): boolean {
  return bytes.length === wanted.size && hash('sha256', bytes, 'buffer').equals(wanted.sha256)
}
