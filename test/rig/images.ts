import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { crc32, deflateSync } from 'node:zlib'

/** A generator of numbers in [0, 1) that a seed determines (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A valid 8-bit grey PNG of `side` × `side` pixels. */
export function greyPng(side: number, pixel: (x: number, y: number) => number): Buffer {
  const rows = Buffer.alloc((side + 1) * side)
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) rows[y * (side + 1) + 1 + x] = pixel(x, y)
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(side, 0)
  head.writeUInt32BE(side, 4)
  head[8] = 8
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows, { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, body: Buffer): Buffer {
  const bytes = Buffer.alloc(body.length + 12)
  bytes.writeUInt32BE(body.length, 0)
  bytes.write(type, 4, 'latin1')
  body.copy(bytes, 8)
  bytes.writeUInt32BE(crc32(bytes.subarray(4, body.length + 8)), body.length + 8)
  return bytes
}

/**
 * Writes `count` images as `<dir>/<digit>/<n>.png`, ten folders, one a class: noise around a bar whose place tells the
 * class. The same seed gives the same bytes.
 */
export function writeImages(dir: string, options: { count: number; seed: number }): void {
  const random = seeded(options.seed)
  for (let digit = 0; digit < 10; digit++) mkdirSync(path.join(dir, String(digit)), { recursive: true })
  for (let index = 0; index < options.count; index++) {
    const digit = index % 10
    const image = greyPng(28, (x) => (Math.abs(x - 2 - digit * 2.6) < 1.5 ? 200 : 0) + Math.floor(random() * 50))
    writeFileSync(path.join(dir, String(digit), `${String(index).padStart(6, '0')}.png`), image)
  }
}

/** Writes `count` files of `min`–`max` random bytes into ten folders. */
export function writeSmallFiles(dir: string, options: { count: number; seed: number; min?: number; max?: number }): void {
  const { min = 784, max = 4096 } = options
  const random = seeded(options.seed)
  for (let folder = 0; folder < 10; folder++) mkdirSync(path.join(dir, `d${folder}`), { recursive: true })
  for (let index = 0; index < options.count; index++) {
    writeFileSync(
      path.join(dir, `d${index % 10}`, `f${String(index).padStart(6, '0')}.bin`),
      randomBlock(random, min + Math.floor(random() * (max - min))),
    )
  }
}

/** `length` bytes that do not compress, from a seeded generator. */
export function randomBlock(random: () => number, length: number): Buffer {
  const bytes = Buffer.alloc((length + 3) & ~3)
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(Math.floor(random() * 4_294_967_296), at)
  return bytes.subarray(0, length)
}

export const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')
