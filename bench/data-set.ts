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
  name: string
  /** Writes the data as `<dir>/data`. */
  write(dir: string): void
  /** Changes a small part of it. */
  change(dir: string, round: number): void
}

/** `count` files of 784–4,096 random bytes in ten folders; 100 of them change. */
export function smallFiles(count: number): DataSet {
  return {
    name: `${count.toLocaleString('en')} files of 1–4 KB`,
    write: (dir) => writeSmallFiles(path.join(dir, 'data'), { count, seed: 7 }),
    change(dir, round) {
      const random = seeded(1000 + round)
      for (let index = 0; index < 100; index++) {
        const file = path.join(dir, 'data', `d${index % 10}`, `f${String(index * Math.floor(count / 100)).padStart(6, '0')}.bin`)
        replace(file, randomBlock(random, 2000))
      }
    },
  }
}

const MIB = 1024 * 1024

/** One file of `mib` MiB that does not compress; 64 KiB in its middle change. */
export function bigFile(mib: number): DataSet {
  return {
    name: `one file of ${mib} MiB`,
    write(dir) {
      mkdirSync(path.join(dir, 'data'), { recursive: true })
      const file = openSync(path.join(dir, 'data', 'big.bin'), 'w')
      const random = seeded(11)
      const block = randomBlock(random, MIB)
      for (let index = 0; index < mib; index++) {
        block.writeUInt32LE(index, (index * 4096) % (MIB - 4))
        writeSync(file, block)
      }
      closeSync(file)
    },
    change(dir, round) {
      const name = path.join(dir, 'data', 'big.bin')
      const copy = `${name}.new`
      copyFileSync(name, copy)
      replace(name, undefined, copy, (file) =>
        writeSync(file, randomBlock(seeded(500 + round), 65_536), 0, 65_536, Math.floor(mib / 2) * MIB),
      )
    },
  }
}

/** Changes a tracked file as a careful program does: a new file renamed over it, so that a linked cache object is not written to. */
function replace(name: string, bytes: Uint8Array | undefined, copy = `${name}.new`, edit?: (file: number) => void): void {
  if (bytes) writeFileSync(copy, bytes)
  chmodSync(copy, 0o644)
  if (edit) {
    const file = openSync(copy, 'r+')
    edit(file)
    closeSync(file)
  }
  renameSync(copy, name)
}

/** Every file below a folder. */
export function* filesBelow(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name)
    if (entry.isDirectory()) yield* filesBelow(file)
    else yield file
  }
}
