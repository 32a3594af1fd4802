import { createCipheriv } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { randomBlock, seeded, writeSmallFiles } from '../test/rig/images.ts'

export interface DataSet {
  /** For people. */
  title: string
  /** Writes it as `<dir>/data`. The same at each call. */
  write(dir: string): void
  /** Changes a small part of it; another one in each round. */
  change(dir: string, round: number): void
}

const CHANGED_FILES = 100

/** `count` files of 784–4,096 random bytes in ten folders; 100 of them change. */
export function smallFiles(count: number): DataSet {
  return {
    title: `${count.toLocaleString('en')} files of 1–4 KB`,
    write: (dir) => writeSmallFiles(path.join(dir, 'data'), { count, seed: 7 }),
    change(dir, round) {
      const random = seeded(1000 + round)
      const changed = Math.min(CHANGED_FILES, count)
      for (let nth = 0; nth < changed; nth++) {
        const index = nth * Math.floor(count / changed)
        const file = path.join(dir, 'data', `d${index % 10}`, `f${String(index).padStart(6, '0')}.bin`)
        replace(file, (copy) => writeFileSync(copy, randomBlock(random, 2000)))
      }
    },
  }
}

const MIB = 1024 * 1024
const CHANGED_BYTES = 65_536

/** One file of `mib` MiB that neither compresses nor repeats itself; 64 KiB in its middle change. */
export function bigFile(mib: number): DataSet {
  return {
    title: `one file of ${mib} MiB`,
    write(dir) {
      mkdirSync(path.join(dir, 'data'), { recursive: true })
      writeRandom(path.join(dir, 'data', 'big.bin'), mib)
    },
    change(dir, round) {
      const name = path.join(dir, 'data', 'big.bin')
      replace(name, (copy) => {
        copyFileSync(name, copy)
        chmodSync(copy, 0o644)
        const file = openSync(copy, 'r+')
        writeSync(file, randomBlock(seeded(500 + round), CHANGED_BYTES), 0, CHANGED_BYTES, Math.floor(mib / 2) * MIB)
        closeSync(file)
      })
    },
  }
}

/** A key stream: a gigabyte of it takes a second, and no block of it comes twice, which tools that look for repeats would find. */
function writeRandom(name: string, mib: number): void {
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, 11), Buffer.alloc(16))
  const zeros = Buffer.alloc(MIB)
  const file = openSync(name, 'w')
  for (let index = 0; index < mib; index++) writeSync(file, stream.update(zeros))
  closeSync(file)
}

/** Changes a tracked file as a careful program does: a new file renamed over it, so that a linked cache object is not written to. */
function replace(name: string, write: (copy: string) => void): void {
  const copy = `${name}.new`
  write(copy)
  renameSync(copy, name)
}

/** Every file below a folder, folder by folder. */
export function* filesBelow(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name)
    if (entry.isDirectory()) yield* filesBelow(file)
    else yield file
  }
}
