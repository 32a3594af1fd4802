import { type Digest, isLegacy, kindOf, md5Of, PACKED_DIGEST_BYTES, writeHex } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { isUnwritable } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'
import { statOrNone, type Timestamps } from './file-stat.ts'

/**
 * The trees whose members were all in the cache, as of one state of the cache's folders. A folder that has lost a name has
 * another stat, so while all 256 are the same, none of these trees has lost a member.
 */
export interface CompleteTrees {
  /** Runs `check`, and remembers the tree when it finds all members present. */
  check(tree: Digest, check: () => boolean): boolean
  /** Cairn itself changed a folder of the cache. */
  moved(): void
  flush(): void
}

const SHARDS = 256
/** mtimeMs, ctimeMs, ino, dev of each folder; zeros for one that is not there. */
const FIELDS = 4
const STATE_BYTES = SHARDS * FIELDS * 8
/** Within one command the folders are not asked again and again. */
const FRESH_MS = 50

/** `shardOf` gives a shard's folder. `file` is the cache's memory of one namespace; a torn or foreign one vouches for nothing. */
export function openCompleteTrees(
  file: string,
  options: { shardOf: (shard: number) => string; timestamps: () => Timestamps },
): CompleteTrees {
  let known: { state: Buffer; trees: Set<string> } | undefined
  let changed = false
  let seen: { state: Float64Array; at: number } | undefined

  const look = (): { state: Float64Array; at: number } => {
    const age = seen === undefined ? -1 : Date.now() - seen.at
    if (seen && age >= 0 && age < FRESH_MS) return seen
    // The time is taken first: what changes from here on is newer.
    seen = { at: Date.now(), state: stateOf(options.shardOf) }
    return seen
  }
  const load = () => (known ??= readKnown(file))
  const matches = ({ state }: { state: Float64Array }) => load().state.equals(bytesOf(state))

  return {
    check(tree, check) {
      const before = look()
      if (load().trees.has(packed(tree)) && matches(before)) return true
      if (!check()) return false
      if (!isSettled(before, options.timestamps())) return true
      const trees = matches(before) ? load().trees : new Set<string>()
      known = { state: Buffer.from(bytesOf(before.state)), trees: trees.add(packed(tree)) }
      changed = true
      return true
    },
    moved() {
      seen = undefined
    },
    flush() {
      if (changed && known) write(file, known)
      changed = false
    },
  }
}

function stateOf(shardOf: (shard: number) => string): Float64Array {
  const state = new Float64Array(SHARDS * FIELDS)
  for (let shard = 0; shard < SHARDS; shard++) {
    const stat = statOrNone(shardOf(shard))
    if (stat) state.set([stat.mtimeMs, stat.ctimeMs, stat.ino, stat.dev], shard * FIELDS)
  }
  return state
}

/** Whether a change of any folder since `at` would show. A folder that was not there shows when it comes. */
function isSettled({ state, at }: { state: Float64Array; at: number }, timestamps: Timestamps): boolean {
  for (let shard = 0; shard < SHARDS; shard++) {
    const [mtimeMs = 0, ctimeMs = 0, ino = 0, dev = 0] = state.subarray(shard * FIELDS, (shard + 1) * FIELDS)
    if (ino !== 0 && !timestamps.settled({ mtimeMs, ctimeMs }, dev, at)) return false
  }
  return true
}

const bytesOf = (state: Float64Array): Buffer => Buffer.from(state.buffer, state.byteOffset, state.byteLength)

function packed(tree: Digest): string {
  const bytes = Buffer.alloc(PACKED_DIGEST_BYTES)
  writeHex(bytes, 0, md5Of(tree))
  bytes[16] = kindOf(tree)
  return bytes.toString('latin1')
}

function readKnown(file: string): { state: Buffer; trees: Set<string> } {
  const bytes = readIfThere(file)
  const length = bytes.length - STATE_BYTES
  if (length < 0 || length % PACKED_DIGEST_BYTES !== 0) return { state: Buffer.alloc(0), trees: new Set() }
  const trees = new Set<string>()
  for (let at = STATE_BYTES; at < bytes.length; at += PACKED_DIGEST_BYTES)
    trees.add(bytes.toString('latin1', at, at + PACKED_DIGEST_BYTES))
  return { state: bytes.subarray(0, STATE_BYTES), trees }
}

function readIfThere(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES')) return Buffer.alloc(0)
    throw error
  }
}

function write(file: string, { state, trees }: { state: Buffer; trees: ReadonlySet<string> }): void {
  try {
    makeFolders(path.dirname(file))
    writeFileAtomic(file, Buffer.concat([state, Buffer.from([...trees].join(''), 'latin1')]))
  } catch (error) {
    // Only speed is lost.
    if (!isUnwritable(error)) throw error
  }
}

/** One memory a namespace: their objects lie in folders of their own. */
export function openBothCompleteTrees(dir: string, options: { tmpDir: string; timestamps: () => Timestamps }) {
  const open = (name: string, root: string) =>
    openCompleteTrees(path.join(options.tmpDir, 'cairn', name), {
      shardOf: (shard) => path.join(root, shard.toString(16).padStart(2, '0')),
      timestamps: options.timestamps,
    })
  const today = open('complete', path.join(dir, 'files', 'md5'))
  const legacy = open('complete-legacy', dir)
  return {
    for: (tree: Digest) => (isLegacy(tree) ? legacy : today),
    moved: () => [today, legacy].forEach((each) => each.moved()),
    flush: () => [today, legacy].forEach((each) => each.flush()),
  }
}
