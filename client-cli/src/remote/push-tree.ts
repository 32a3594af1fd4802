import { type Digest, isTree } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { MAX_TREE_DELTA_BYTES } from '@cairn/protocol/limits'
import { fileOf } from '@cairn/protocol/tree'
import { encodeTreeDelta } from '@cairn/protocol/tree-difference'
import { filePieces } from '../io/file-pieces.ts'
import { createDigestList } from './digest-list.ts'
import { fileIn, namesInOrder } from './names-in-tree.ts'
import { type Outgoing, takeSound } from './outgoing.ts'
import { sendEarly } from './push-early.ts'
import { noteRefusal, type PushRun } from './push-run.ts'
import type { LocalTree } from './remote.ts'

/** Smaller ones are a few kilobytes as gzip: not worth a look into Git's history. */
const SMALLEST_DELTA_TREE = 16 * 1024
const PIECE_BYTES = 256 * 1024
/** Trees that may be the base; the server has most likely the newest. */
const MOST_BASES = 8
/** What says that the server cannot take this delta, where it might take the whole. */
const NO_DELTA = ['BASE_UNKNOWN', 'BAD_DELTA', 'BAD_TREE', 'DIGEST_MISMATCH', 'BODY_TOO_LARGE', 'NOT_FOUND', 'BAD_REQUEST']

/** Sends one tree, and resolves with the files of it that the server lacks, each once, in the tree's order. */
export async function sendTree(run: PushRun, tree: LocalTree): Promise<Iterable<Digest>> {
  const object = takeSound(run.cache, tree.digest, run.failures)
  if (!object) return []
  try {
    const missing = (await sendDifference(run, object)) ?? (await run.api.trees.send(object, sendOptions(run)))
    run.waiting.set(tree.digest, object.size)
    return missing.length === 0 || (await namesInOrder(object, missing)) ? missing : inTree(tree, missing)
  } catch (error) {
    noteRefusal(run, tree.digest, error)
    return []
  }
}

const sendOptions = ({ session, options }: PushRun) => ({ session, signal: options.signal })

/**
 * Sends the tree as the difference to one that stood at its path before. The newest is tried without asking; only where the
 * server does not have that one it is asked which of the others it has. undefined when the whole is to be sent.
 */
async function sendDifference(run: PushRun, tree: Outgoing): Promise<Digest[] | undefined> {
  if (!run.api.can('tree-deltas') || run.options.earlier === undefined || tree.size < SMALLEST_DELTA_TREE) return undefined
  const bases = (await run.options.earlier(tree.digest)).filter((digest) => isTree(digest) && run.cache.has(digest))
  const [newest, ...older] = bases.slice(0, MOST_BASES)
  if (newest === undefined) return undefined
  const answer = await sendAgainst(run, tree, newest)
  if (answer !== 'base-unknown') return answer
  const standing = await firstStanding(run, older)
  const second = standing && (await sendAgainst(run, tree, standing))
  return second === 'base-unknown' ? undefined : second
}

async function sendAgainst(run: PushRun, tree: Outgoing, base: Digest): Promise<Digest[] | 'base-unknown' | undefined> {
  const limit = Math.min(MAX_TREE_DELTA_BYTES, Math.floor(tree.size / 2))
  try {
    const before = filePieces(run.cache.pathOf(base), PIECE_BYTES)
    const after = filePieces(tree.path, PIECE_BYTES)
    const fresh: Digest[] = []
    const delta = await encodeTreeDelta(before, after, limit, (entry) => {
      const file = fileIn(entry, tree.digest)
      if (file) fresh.push(file)
    })
    return delta && (await sendBeside(run, fresh, () => run.api.trees.sendDelta(tree.digest, { base, delta }, sendOptions(run))))
  } catch (error) {
    if (isCode(error, 'BASE_UNKNOWN')) return 'base-unknown'
    // A base that vanished meanwhile costs bytes, and no push.
    if (isCode(error, 'ENOENT', ...NO_DELTA)) return undefined
    throw error
  }
}

async function sendBeside<T>(run: PushRun, files: readonly Digest[], send: () => Promise<T>): Promise<T> {
  // The tree first: the server has more to do for it.
  const [sent, early] = await Promise.allSettled([send(), sendEarly(run, files)])
  if (sent.status === 'rejected') throw sent.reason
  if (early.status === 'rejected') throw early.reason
  return sent.value
}

async function firstStanding(run: PushRun, bases: readonly Digest[]): Promise<Digest | undefined> {
  if (bases.length === 0) return undefined
  const { missing } = await run.api.missing(bases, { intent: 'push', ...sendOptions(run) })
  return bases.find((base) => !missing.has(base))
}

/** What the server may ask for is what the tree names, whatever it says. */
function inTree(tree: LocalTree, missing: readonly Digest[]): Iterable<Digest> {
  const lacking = createDigestList(missing)
  const files = createDigestList()
  tree.scan((entry) => {
    const file = fileOf(tree.digest, entry)
    if (lacking.has(file)) files.add(file)
  })
  return files
}
