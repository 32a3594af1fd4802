import { randomBytes } from 'node:crypto'
import { PACK_MEMBER_LIMIT, PackWriter } from '@cairn/protocol/pack'
import { type Batching, createBatching, Refused } from './batching.ts'
import { packKey, singleKey } from './blob-key.ts'
import { auditConflicts, conflict } from './conflict.ts'
import { mendTrees } from './damage.ts'
import type { NewObject, ProjectRow } from './ports/catalog.ts'
import type { SmallObject, SmallObjects, Stores } from './stores.ts'

/** An object up to here is taken in whole, so that others may rest in one blob with it. */
export const SMALL_BYTES = PACK_MEMBER_LIMIT
/** Bytes of one batch: what is in memory while it is written, a project and lane. */
const BATCH_BYTES = 8 * 1024 * 1024
const BATCH_MEMBERS = 1000
/** One: what comes meanwhile makes the next batch larger, and larger batches cost less than overlapping ones gain. */
const LANES = 1
const PATIENCE_MILLISECONDS = 10
/** A stock client gives up 60 s after the last byte of its body. */
const DEADLINE_MILLISECONDS = 55_000

type Outcome = 'stored' | 'exists'

export function createSmallObjects(stores: Omit<Stores, 'small'>): SmallObjects {
  // One a project, since a blob belongs to one project. An idle one is a few hundred bytes.
  const projects = new Map<number, Batching<SmallObject, Outcome>>()
  const batchingOf = (project: ProjectRow): Batching<SmallObject, Outcome> => {
    const standing = projects.get(project.id)
    if (standing) return standing
    const created = createBatching<SmallObject, Outcome>({
      lanes: LANES,
      patience: PATIENCE_MILLISECONDS,
      members: BATCH_MEMBERS,
      weight: { of: ({ bytes }) => bytes.length, most: BATCH_BYTES },
      run: (batch) => storeBatch(stores, project, batch),
    })
    projects.set(project.id, created)
    return created
  }
  return { store: (project, object) => batchingOf(project).add(object) }
}

async function storeBatch(
  stores: Omit<Stores, 'small'>,
  project: ProjectRow,
  batch: readonly SmallObject[],
): Promise<Array<Outcome | Refused>> {
  const present = batch.filter(({ signal }) => !signal.aborted)
  const outcomes = new Map<SmallObject, Outcome | Refused>()
  if (present.length > 0) await storePresent(stores, project, present, outcomes)
  return batch.map((object) => outcomes.get(object) ?? new Refused(object.signal.reason))
}

async function storePresent(
  stores: Omit<Stores, 'small'>,
  project: ProjectRow,
  batch: readonly SmallObject[],
  outcomes: Map<SmallObject, Outcome | Refused>,
): Promise<void> {
  const { blob, bytes, objects } = blobOf(project, batch)
  await stores.blobs.put(blob.key, once(bytes), { signal: AbortSignal.timeout(DEADLINE_MILLISECONDS), size: blob.size })
  const linked = await stores.catalog.linkBlob(project.id, blob, objects)
  const stored = objects.filter((_, index) => linked[index] === 'stored')
  stores.notice({ type: 'stored', outcome: 'stored', objects: stored.length, bytes: sumOf(stored) })
  const refused: NewObject[] = []
  for (const [index, object] of batch.entries()) {
    const outcome = linked[index]
    const row = objects[index]
    if (outcome === undefined || row === undefined) throw new Error(`no outcome for ${object.digest}`)
    if (outcome === 'conflict') refused.push(row)
    outcomes.set(object, outcome === 'conflict' ? new Refused(conflict(object.digest)) : outcome)
  }
  if (refused.length > 0) await auditConflicts(stores, project, refused)
  if (batch.some((object) => object.repairs && outcomes.get(object) === 'stored')) await mendTrees(stores, project.id)
}

const sumOf = (objects: readonly NewObject[]): number => objects.reduce((sum, { size }) => sum + size, 0)

interface NewBlob {
  blob: { key: string; size: number; kind: 'single' | 'pack' }
  bytes: Uint8Array
  objects: NewObject[]
}

function blobOf(project: ProjectRow, batch: readonly SmallObject[]): NewBlob {
  const [first] = batch
  if (first && batch.length === 1) {
    const { digest, bytes, measured } = first
    const blob = { key: singleKey(project.id, digest), size: bytes.length, kind: 'single' as const }
    return { blob, bytes, objects: [{ digest, size: bytes.length, sha256: measured.sha256, offset: 0 }] }
  }
  const { bytes, objects } = packOf(batch)
  return { blob: { key: packKey(project.id), size: bytes.length, kind: 'pack' }, bytes, objects }
}

/** An object that came twice is in the pack once, and both its rows point there. */
function packOf(batch: readonly SmallObject[]): { bytes: Uint8Array; objects: NewObject[] } {
  const writer = new PackWriter()
  const pieces: Uint8Array[] = [writer.start()]
  const placed = new Map<string, number>()
  const objects = batch.map(({ digest, bytes, measured: { sha256, size } }): NewObject => {
    const name = `${digest} ${Buffer.from(sha256).toString('latin1')}`
    let offset = placed.get(name)
    if (offset === undefined) {
      pieces.push(writer.header(digest, size), bytes)
      offset = writer.length - size
      placed.set(name, offset)
    }
    return { digest, size, sha256, offset }
  })
  pieces.push(writer.end(randomBytes(16)))
  return { bytes: Buffer.concat(pieces), objects }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
