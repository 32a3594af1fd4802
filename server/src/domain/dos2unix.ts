import { createHash } from 'node:crypto'

/** DVC before 3.0 read files in blocks of this size and converted each block by itself. */
const BLOCK_BYTES = 1024 * 1024
const SAMPLE_BYTES = 512
const CR = 0x0d
const LF = 0x0a

/** The "md5-dos2unix" of DVC before 3.0: the md5 of a text with CRLF as LF, and of anything else as it is. */
export interface LegacyHash {
  update(chunk: Uint8Array): void
  /** 32 hex digits. */
  digest(): string
}

/**
 * Whether a file is text is decided once, by its first 512 bytes. A CRLF that straddles a block's border stays as it is:
 * that is how the names of existing objects were made. Holds one block.
 */
export function createLegacyHash(): LegacyHash {
  const hash = createHash('md5')
  const block = new Uint8Array(BLOCK_BYTES)
  let filled = 0
  let text: boolean | undefined

  const flush = () => {
    const bytes = block.subarray(0, filled)
    text ??= isText(bytes.subarray(0, SAMPLE_BYTES))
    hash.update(text ? withoutCarriageReturns(bytes) : bytes)
    filled = 0
  }

  return {
    update(chunk) {
      let at = 0
      while (at < chunk.length) {
        const part = chunk.subarray(at, at + BLOCK_BYTES - filled)
        block.set(part, filled)
        filled += part.length
        at += part.length
        if (filled === BLOCK_BYTES) flush()
      }
    },
    digest() {
      if (filled > 0) flush()
      return hash.digest('hex')
    },
  }
}

/** Empty: text. A NUL: binary. More than 30 % of bytes that are no printable ASCII and no usual white space: binary. */
export function isText(sample: Uint8Array): boolean {
  if (sample.length === 0) return true
  let strange = 0
  for (const byte of sample) {
    if (byte === 0) return false
    const printable = (byte >= 0x20 && byte <= 0x7e) || (byte >= 0x08 && byte <= 0x0d && byte !== 0x0b)
    if (!printable) strange++
  }
  return strange / sample.length <= 0.3
}

function withoutCarriageReturns(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(CR)) return bytes
  const converted = new Uint8Array(bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === CR && bytes[at + 1] === LF) continue
    converted[length++] = bytes[at] ?? 0
  }
  return converted.subarray(0, length)
}
