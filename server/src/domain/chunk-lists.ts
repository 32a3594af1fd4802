import { createHash } from 'node:crypto'
import { type Chunk, createChunkLister, MAX_CHUNKS, packChunks } from '@cairn/protocol/chunks'
import { MIN_DELTA_OBJECT_BYTES } from '@cairn/protocol/delta'
import { CairnError } from '@cairn/protocol/error'
import { readObject } from './objects.ts'
import type { ObjectRow, ProjectRow } from './ports/catalog.ts'
import type { Stores } from './stores.ts'

function newMd5(): { update(bytes: Uint8Array): void; digest(): string } {
  const md5 = createHash('md5')
  return { update: (bytes) => void md5.update(bytes), digest: () => md5.digest('hex') }
}

const underWay = new WeakMap<Stores['catalog'], Map<number, Promise<Uint8Array>>>()

/**
 * The object's packed list of chunks. The first to ask waits for one read of the object, which also verifies it, and others
 * wait with it; the list is kept.
 * @throws CairnError BAD_REQUEST for an object that is too small or too large for it, OBJECT_DAMAGED, STORAGE_FAILED
 */
export async function chunkList(stores: Stores, project: ProjectRow, row: ObjectRow, signal: AbortSignal): Promise<Uint8Array> {
  const lists = underWay.get(stores.catalog) ?? new Map<number, Promise<Uint8Array>>()
  underWay.set(stores.catalog, lists)
  for (let other = lists.get(row.id); other; other = lists.get(row.id)) {
    const list = await other.catch(() => undefined)
    if (list) return list
    // The one before left, or failed for a reason that may be its own.
    signal.throwIfAborted()
  }
  const making = findOrMake(stores, project, row, signal)
  lists.set(row.id, making)
  try {
    return await making
  } finally {
    lists.delete(row.id)
  }
}

async function findOrMake(stores: Stores, project: ProjectRow, row: ObjectRow, signal: AbortSignal): Promise<Uint8Array> {
  const known = await stores.catalog.findChunkList(row.id)
  if (known) return known
  if (row.size < MIN_DELTA_OBJECT_BYTES) throw new CairnError('BAD_REQUEST', `${row.digest}: is too small to be cut into chunks`)
  const chunks: Chunk[] = []
  const lister = createChunkLister(newMd5, (chunk) => {
    if (chunks.push(chunk) > MAX_CHUNKS) throw new CairnError('BAD_REQUEST', `${row.digest}: has more than ${MAX_CHUNKS} chunks`)
  })
  for await (const bytes of readObject(stores, project.id, row, { signal })) lister.add(bytes)
  lister.end()
  const packed = packChunks(chunks)
  await stores.catalog.keepChunkList(row.id, packed)
  return packed
}
