import { createHash } from 'node:crypto'
import { makeDigest } from '@cairn/protocol/digest'
import type { NewObject } from '../../server/src/domain/ports/catalog.ts'

/** An object whose bytes are `text`. */
export function objectOf(text: string, options: { tree?: boolean; legacy?: boolean; offset?: number } = {}): NewObject {
  return {
    digest: makeDigest(createHash('md5').update(text).digest('hex'), options),
    size: Buffer.byteLength(text),
    sha256: createHash('sha256').update(text).digest(),
    offset: options.offset ?? 0,
  }
}

/** Objects with the bytes `<prefix> 0`, `<prefix> 1`, … behind each other. */
export function objectsOf(prefix: string, count: number): NewObject[] {
  let offset = 0
  return Array.from({ length: count }, (_, index) => {
    const object = objectOf(`${prefix} ${index}`, { offset })
    offset += object.size
    return object
  })
}

let keys = 0

/** A storage key that no other test of this run uses. */
export const freshKey = (): string => `1/objects/${process.pid}-${Date.now().toString(36)}-${keys++}`
