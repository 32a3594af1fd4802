import { hash } from 'node:crypto'
import { closeSync, cpSync, openSync, readSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { filesBelow } from './data-set.ts'

/** What this machine needs for the bytes alone, in one thread: seconds to copy the data, and to read and md5 it. */
export function floor(data: string, copyTo: string): { copy: number; md5: number } {
  const copy = seconds(() => cpSync(data, copyTo, { recursive: true }))
  return { copy, md5: seconds(() => hashAll(data)) }
}

function hashAll(data: string): void {
  for (const file of filesBelow(data)) {
    if (statSync(file).size < 1 << 20) hash('md5', readFileSync(file))
    else hashLarge(file)
  }
}

function hashLarge(name: string): void {
  const sum = createHash('md5')
  const block = Buffer.allocUnsafe(1 << 20)
  const file = openSync(name, 'r')
  for (let read = readSync(file, block); read > 0; read = readSync(file, block)) sum.update(block.subarray(0, read))
  sum.digest()
  closeSync(file)
}

function seconds(work: () => void): number {
  const start = performance.now()
  work()
  return (performance.now() - start) / 1000
}
