import type { ByteRange, PartedSize } from './ports/blob-store.ts'

const MIB = 1024 * 1024
/** S3 takes none below 5 MiB but the last. Small ones lose little to a broken connection. */
const SMALLEST = 8 * MIB
/** Larger ones cost fewer requests, and gain nothing beyond this. */
const USUAL = 16 * MIB
/** From here on the usual length pays. */
const LARGE = 512 * MIB
/** S3 takes 10,000. */
const MOST_PARTS = 9000

/** How an object of this size is cut into parts. Pure. */
export function planParts(size: number): PartedSize {
  const usual = size >= LARGE ? USUAL : SMALLEST
  return { size, partBytes: Math.max(usual, Math.ceil(size / MOST_PARTS / MIB) * MIB) }
}

export const partCount = ({ size, partBytes }: PartedSize): number => Math.ceil(size / partBytes)

/** Where a part lies in the object; undefined when there is no part of that number. */
export function partRange({ size, partBytes }: PartedSize, number: number): ByteRange | undefined {
  if (!Number.isSafeInteger(number) || number < 0 || number * partBytes >= size) return undefined
  return { start: number * partBytes, end: Math.min(size, (number + 1) * partBytes) }
}
