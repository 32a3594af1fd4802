import { type Digest, isLegacy, objectPath } from '@cairn/protocol/digest'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { namesIn } from './names-in.ts'
import type { TreeRows } from './tree-pieces.ts'

/** Below so many names asking for each is always cheaper than listing their shard. */
const FEW_NAMES = 8
/** Listing a shard costs about as much as asking for this many names. */
const NAMES_A_LISTED_NAME = 4
const SHARDS = 256

/** True when the cache at `dir` has an object for every row. Needs four bytes a row, and one shard's names. */
export function holdsAll(dir: string, rows: Pick<TreeRows, 'count' | 'md5'>, legacy: boolean): boolean {
  const shards = createShards(dir)
  for (const [shard, members] of byShard(rows).entries()) {
    if (members.length === 0) continue
    const names = shards.names(shard.toString(16).padStart(2, '0'), legacy, members.length)
    for (const row of members) {
      const md5 = rows.md5(row)
      if (!(names ? names.has(md5.slice(2)) : existsSync(path.join(dir, objectPath(nameOf(md5, legacy)))))) return false
    }
  }
  return true
}

/** The rows of each shard: views of one array. */
function byShard(rows: Pick<TreeRows, 'count' | 'md5'>): Uint32Array[] {
  const shardOf = (row: number) => Number.parseInt(rows.md5(row).slice(0, 2), 16)
  const counts = new Uint32Array(SHARDS)
  const add = (numbers: Uint32Array, at: number) => {
    const before = numbers[at] ?? 0
    numbers[at] = before + 1
    return before
  }
  for (let row = 0; row < rows.count; row++) add(counts, shardOf(row))
  let sum = 0
  const starts = counts.map((count) => (sum += count) - count)
  const [order, next] = [new Uint32Array(rows.count), starts.slice()]
  for (let row = 0; row < rows.count; row++) order[add(next, shardOf(row))] = row
  return Array.from(counts, (count, shard) => order.subarray(starts[shard] ?? 0, (starts[shard] ?? 0) + count))
}

const nameOf = (md5: string, legacy: boolean): Digest => (legacy ? `legacy-${md5}` : md5) as Digest

/** Those that are not there, in their order. */
export function findMissing(dir: string, digests: readonly Digest[]): Digest[] {
  const absent = new Set<Digest>()
  const shards = createShards(dir)
  for (const [prefix, wanted] of groupByPrefix(digests)) {
    const names = shards.names(prefix.slice(-2), prefix.length > 2, wanted.length)
    for (const digest of wanted) {
      if (!(names ? names.has(digest.slice(prefix.length)) : existsSync(path.join(dir, objectPath(digest))))) absent.add(digest)
    }
  }
  return absent.size === 0 ? [] : digests.filter((digest) => absent.has(digest))
}

/** Lists a shard where that is cheaper than asking for each name: ten thousand questions cost five times one listing. */
function createShards(dir: string) {
  let listedNames = 0
  let listedShards = 0
  return {
    /** undefined when the `wanted` names should be asked for one by one. */
    names(shard: string, legacy: boolean, wanted: number): Set<string> | undefined {
      const expected = listedShards === 0 ? 0 : listedNames / listedShards
      if (wanted < FEW_NAMES || expected > wanted * NAMES_A_LISTED_NAME) return undefined
      const names = new Set(namesIn(legacy ? path.join(dir, shard) : path.join(dir, 'files', 'md5', shard)))
      listedShards++
      listedNames += names.size
      return names
    },
  }
}

/** By the part of the digest that says which shard it is in; the rest is its name there. */
function groupByPrefix(digests: readonly Digest[]): Map<string, Digest[]> {
  const groups = new Map<string, Digest[]>()
  for (const digest of digests) {
    const prefix = digest.slice(0, isLegacy(digest) ? 9 : 2)
    const group = groups.get(prefix)
    if (group) group.push(digest)
    else groups.set(prefix, [digest])
  }
  return groups
}
