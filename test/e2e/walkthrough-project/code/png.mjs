import { readdirSync, readFileSync } from 'node:fs'
import { inflateSync } from 'node:zlib'

/** The mean of each column of an 8-bit grey PNG. */
export function columns(file) {
  const bytes = readFileSync(file)
  const side = bytes.readUInt32BE(16)
  const rows = inflateSync(bytes.subarray(41, 41 + bytes.readUInt32BE(33)))
  const sums = new Array(side).fill(0)
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) sums[x] += rows[y * (side + 1) + 1 + x] / side
  return sums
}

/** `[class, file]` for every picture below `data`. */
export function* pictures() {
  for (const name of readdirSync('data').sort())
    for (const file of readdirSync(`data/${name}`).sort()) yield [name, `data/${name}/${file}`]
}
