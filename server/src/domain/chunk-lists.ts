import { createHash } from 'node:crypto'
import { type Chunk, createChunkLister, MAX_CHUNKS, packChunks } from '@cairn/protocol/chunks'
import { MIN_DELTA_OBJECT_BYTES } from '@cairn/protocol/delta'
import { CairnError } from '@cairn/protocol/error'
import { readObject } from './objects.ts'
import type { ObjectRow, ProjectRow } from './ports.ts'
import type { Stores } from './stores.ts'

function newMd5(): { update(bytes: Uint8Array): void; digest(): string } {
  const md5 = createHash('md5')
  return { update: (bytes) => void md5.update(bytes), digest: () => md5.digest('hex') }
}

/**
 * The object's packed list of chunks. The first to ask waits for one read of the object, which also verifies it; the list
 * is kept. @throws CairnError BAD_REQUEST for an object that is too small or too large for it, OBJECT_DAMAGED, STORAGE_FAILED
 */
export async function chunkList(stores: Stores, project: ProjectRow, row: ObjectRow, signal: AbortSignal): Promise<Uint8Array> {
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
