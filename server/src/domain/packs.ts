import type { PackAnswer } from '@cairn/protocol/api'
import { type Digest, isLegacy, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { type PackRecord, readPack } from '@cairn/protocol/pack'
import { packKey } from './blob-key.ts'
import { auditConflicts, conflict } from './conflict.ts'
import { mendTrees } from './damage.ts'
import type { Bytes } from './ports/blob-store.ts'
import type { NewObject, ProjectRow } from './ports/catalog.ts'
import { createRendezvous } from './rendezvous.ts'
import type { Stores } from './stores.ts'
import { storeTree } from './trees.ts'
import { hasDigest, measureBytes } from './verify-stream.ts'

/** Trees are held in memory until the pack's files are linked. Larger ones are sent by themselves. */
const TREE_BYTES_IN_PACK = 8 * 1024 * 1024

type Refusal = PackAnswer['refused'][number]

interface CheckedPack {
  objects: NewObject[]
  trees: Array<{ digest: Digest; bytes: Uint8Array }>
  refused: Refusal[]
}

export interface StorePack {
  bytes: Bytes
  /** The length the sender announced. */
  size: number | undefined
  signal: AbortSignal
}

/**
 * Stores a pack as it comes, as one blob, and hashes every member while it passes. A wrong member is refused by itself: its
 * bytes rest in the blob with nothing that names them. Trees get blobs of their own, after the files they may list.
 * @throws CairnError BAD_PACK when the frame is broken: then nothing of it is stored
 */
export async function storePack(stores: Stores, project: ProjectRow, request: StorePack): Promise<PackAnswer> {
  const key = packKey(project.id)
  const { bytes, checked } = checkWhilePassing(request.bytes)
  const size = await stores.blobs.put(key, bytes, { signal: request.signal, size: request.size })
  const pack = await checked
  const answer = await linkPack(stores, project, { key, size }, pack)
  for (const tree of pack.trees) await addTree(stores, project, tree, answer, request.signal)
  return answer
}

/** `checked` settles before the last chunk of `bytes` is given away. */
function checkWhilePassing(source: Bytes): { bytes: Bytes; checked: Promise<CheckedPack> } {
  const channel = createRendezvous()
  const checked = checkRecords(readPack(channel.bytes))
  // The failure is thrown to whoever reads `bytes`; without this it would also count as unhandled.
  checked.catch(() => undefined)

  async function* pass(): AsyncGenerator<Uint8Array> {
    let ended = false
    try {
      let held: Uint8Array | undefined
      for await (const chunk of source) {
        await Promise.race([channel.send(chunk), checked])
        if (held) yield held
        held = chunk
      }
      ended = true
      channel.end()
      await checked
      if (held) yield held
    } catch (error) {
      ended = true
      channel.end(error)
      throw error
    } finally {
      if (!ended) channel.end(new CairnError('BAD_PACK', 'the pack was abandoned'))
    }
  }

  return { bytes: pass(), checked }
}

async function checkRecords(records: AsyncIterable<PackRecord>): Promise<CheckedPack> {
  const pack: CheckedPack = { objects: [], trees: [], refused: [] }
  const seen = new Set<Digest>()
  let treeBytes = 0
  for await (const record of records) {
    if (record.type === 'absent') throw new CairnError('BAD_PACK', `${record.digest}: a pack that is sent has no absent records`)
    const { digest, payload, offset } = record
    if (seen.has(digest)) continue
    const measured = measureBytes(payload, { legacy: isLegacy(digest) })
    if (!hasDigest(measured, digest)) {
      pack.refused.push({
        digest,
        code: 'DIGEST_MISMATCH',
        message: `the ${payload.length} bytes received hash to ${measured.md5}`,
      })
      continue
    }
    seen.add(digest)
    if (!isTree(digest)) {
      pack.objects.push({ digest, size: payload.length, sha256: measured.sha256, offset })
    } else if ((treeBytes += payload.length) > TREE_BYTES_IN_PACK) {
      pack.refused.push({
        digest,
        code: 'BODY_TOO_LARGE',
        message: `a pack holds trees of at most ${TREE_BYTES_IN_PACK} bytes in all`,
      })
    } else {
      pack.trees.push({ digest, bytes: payload })
    }
  }
  return pack
}

async function linkPack(
  stores: Stores,
  project: ProjectRow,
  blob: { key: string; size: number },
  pack: CheckedPack,
): Promise<PackAnswer> {
  const digests = pack.objects.map((object) => object.digest)
  const before = await stores.catalog.findObjects(project.id, digests)
  const outcomes = await stores.catalog.linkBlob(project.id, { ...blob, kind: 'pack' }, pack.objects)
  const answer: PackAnswer = { stored: 0, exists: 0, refused: pack.refused }
  const conflicts: NewObject[] = []
  let storedBytes = 0
  for (const [index, object] of pack.objects.entries()) {
    const outcome = outcomes[index]
    if (outcome === 'conflict') {
      conflicts.push(object)
      answer.refused.push({ digest: object.digest, code: 'DIGEST_CONFLICT', message: conflict(object.digest).message })
    } else if (outcome === 'stored') {
      answer.stored++
      storedBytes += object.size
    } else answer.exists++
  }
  stores.notice({ type: 'stored', outcome: 'stored', objects: answer.stored, bytes: storedBytes })
  if (conflicts.length > 0) await auditConflicts(stores, project, conflicts)
  if (before.some((row) => row.state === 'damaged')) await mendTrees(stores, project.id)
  return answer
}

async function addTree(
  stores: Stores,
  project: ProjectRow,
  tree: { digest: Digest; bytes: Uint8Array },
  answer: PackAnswer,
  signal: AbortSignal,
): Promise<void> {
  try {
    const { outcome } = await storeTree(stores, project, { digest: tree.digest, read: () => Promise.resolve(tree.bytes), signal })
    answer[outcome]++
  } catch (error) {
    if (!(error instanceof CairnError) || error.status >= 500) throw error
    answer.refused.push({ digest: tree.digest, code: error.code, message: error.message })
  }
}
