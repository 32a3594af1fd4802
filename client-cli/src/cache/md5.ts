import { createHash, hash, type Hash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import type { Span } from './byte-spans.ts'

/** md5 over bytes in pieces. `digest()` ends it and gives 32 hex digits. */
export interface Md5 {
  update(bytes: Uint8Array): void
  digest(): string
}

/** dvc reads 1 MiB at a time and converts each read on its own: a CRLF across the border stays. */
const LEGACY_BLOCK = 1 << 20
const TEXT_PROBE = 512
const READ_BYTES = 256 << 10

/**
 * `legacy`: the "md5-dos2unix" of DVC 0.x–2.x, for which CRLF in a text file counts as LF. Text or binary is decided once,
 * by the first 512 bytes.
 */
export function createMd5(options: { legacy?: boolean } = {}): Md5 {
  const md5 = createHash('md5')
  return options.legacy ? createLegacyMd5(md5) : { update: (bytes) => void md5.update(bytes), digest: () => md5.digest('hex') }
}

export function md5OfBytes(bytes: Uint8Array, options: { legacy?: boolean } = {}): string {
  if (!options.legacy) return hash('md5', bytes, 'hex')
  const md5 = createMd5(options)
  md5.update(bytes)
  return md5.digest()
}

let block: Buffer | undefined

/** Hashes what the file holds now, in bounded memory. System errors pass through. */
export function md5OfFile(path: string, options: { legacy?: boolean } = {}): string {
  // Its own: the caller may hold bytes in the buffer of `readSmall`.
  const buffer = (block ??= Buffer.allocUnsafeSlow(READ_BYTES))
  const fd = openSync(path, 'r')
  try {
    let read = readSync(fd, buffer)
    if (read < buffer.length) return md5OfBytes(buffer.subarray(0, read), options)
    const md5 = createMd5(options)
    for (; read > 0; read = readSync(fd, buffer)) md5.update(buffer.subarray(0, read))
    return md5.digest()
  } finally {
    closeSync(fd)
  }
}

/** Hashes a stretch of a file that is known to be there. Returns its end. */
export function hashStretch(fd: number, md5: Md5, { start, end }: Span): number {
  const buffer = (block ??= Buffer.allocUnsafeSlow(READ_BYTES))
  let at = start
  while (at < end) {
    const read = readSync(fd, buffer, 0, Math.min(buffer.length, end - at), at)
    if (read === 0) throw new Error(`a file ends at ${at}, and ${end} bytes were written to it`)
    md5.update(buffer.subarray(0, read))
    at += read
  }
  return at
}

function createLegacyMd5(md5: Hash): Md5 {
  const block = Buffer.allocUnsafe(LEGACY_BLOCK)
  let filled = 0
  let text: boolean | undefined
  const flush = () => {
    const bytes = block.subarray(0, filled)
    text ??= isText(bytes.subarray(0, TEXT_PROBE))
    md5.update(text ? withoutCarriageReturns(bytes) : bytes)
    filled = 0
  }
  return {
    update(bytes) {
      for (let offset = 0; offset < bytes.length;) {
        const step = Math.min(bytes.length - offset, LEGACY_BLOCK - filled)
        block.set(bytes.subarray(offset, offset + step), filled)
        filled += step
        offset += step
        if (filled === LEGACY_BLOCK) flush()
      }
    },
    digest() {
      if (filled > 0) flush()
      return md5.digest('hex')
    },
  }
}

/** dvc's guess: no NUL, and at most 30 % of the bytes outside of printable ASCII and \n \r \t \f \b. */
export function isText(probe: Uint8Array): boolean {
  let odd = 0
  for (const byte of probe) {
    if (byte === 0) return false
    const plain = (byte >= 0x20 && byte <= 0x7e) || byte === 10 || byte === 13 || byte === 9 || byte === 12 || byte === 8
    if (!plain) odd++
  }
  return odd <= probe.length * 0.3
}

function withoutCarriageReturns(bytes: Buffer): Buffer {
  let found = bytes.indexOf('\r\n')
  if (found < 0) return bytes
  const kept = Buffer.allocUnsafe(bytes.length)
  let length = 0
  let from = 0
  for (; found >= 0; found = bytes.indexOf('\r\n', from)) {
    length += bytes.copy(kept, length, from, found)
    from = found + 1
  }
  length += bytes.copy(kept, length, from)
  return kept.subarray(0, length)
}
