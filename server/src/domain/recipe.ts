import {
  LITERAL,
  MAX_DELTA_HEADER_BYTES,
  parseRecipe,
  type Recipe,
  recipeLength,
  type Segment,
  sliceSegments,
} from '@cairn/protocol/delta'
import { CairnError, isCode } from '@cairn/protocol/error'
import { isDeltaKey } from './blob-key.ts'
import { type Piece, readPieces } from './pieces.ts'
import type { BlobStore, ByteRange } from './ports/blob-store.ts'
import type { ObjectRow } from './ports/catalog.ts'
import { createRecent, type Recent } from './recent.ts'
import type { Stores } from './stores.ts'

/** A recipe at rest never changes, and each range of its object asks for it. */
const KEPT_BYTES = 8 * 1024 * 1024

interface StoredRecipe {
  recipe: Recipe
  /** Where the literals start. */
  headerBytes: number
}

type Stored = Pick<ObjectRow, 'digest' | 'key' | 'offset' | 'size'>

/** Where the bytes of a part of the object are. @throws CairnError OBJECT_DAMAGED, STORAGE_FAILED, NOT_FOUND when its recipe is gone */
export async function piecesOf(stores: Stores, row: Stored, range: ByteRange, signal: AbortSignal): Promise<Piece[]> {
  const load = () => loadRecipe(stores.blobs, row.key, signal)
  return isDeltaKey(row.key)
    ? placesOf(row, range, await load())
    : [{ key: row.key, offset: row.offset + range.start, length: range.end - range.start }]
}

/** As the storage gives them now, for who looks for damage: nothing comes out of memory. */
export async function* readRested(stores: Stores, row: Stored, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const pieces = placesOf(row, { start: 0, end: row.size }, await readRecipe(stores.blobs, row.key, signal))
  yield* readPieces(stores.blobs, pieces, signal)
}

function placesOf(row: Stored, range: ByteRange, { recipe, headerBytes }: StoredRecipe): Piece[] {
  if (recipe.digest !== row.digest || recipe.size !== row.size) {
    throw new CairnError('OBJECT_DAMAGED', `${row.digest}: its recipe is another object's`)
  }
  const place = ({ base, offset, length }: Segment): Piece =>
    base === LITERAL ? { key: row.key, offset: headerBytes + offset, length } : { key: recipe.bases[base] ?? '', offset, length }
  return sliceSegments(recipe.segments, range.start, range.end).map(place)
}

/** The object's stored bytes, put together and not verified. @throws as `piecesOf`, while it is read */
export async function* readStored(
  stores: Stores,
  row: Stored,
  range: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (isDeltaKey(row.key)) {
    yield* readPieces(stores.blobs, await piecesOf(stores, row, range, signal), signal)
    return
  }
  const stream = await stores.blobs.get(row.key, {
    range: { start: row.offset + range.start, end: row.offset + range.end },
    signal,
  })
  try {
    for await (const chunk of stream) yield chunk as Uint8Array
  } finally {
    stream.destroy()
  }
}

const kept = new WeakMap<BlobStore, Recent<StoredRecipe>>()

async function loadRecipe(blobs: BlobStore, key: string, signal: AbortSignal): Promise<StoredRecipe> {
  const memory = kept.get(blobs) ?? createRecent<StoredRecipe>(KEPT_BYTES, ({ headerBytes }) => headerBytes)
  kept.set(blobs, memory)
  const known = memory.find(key)
  if (known) return known
  const stored = await readRecipe(blobs, key, signal)
  memory.keep(key, stored)
  return stored
}

async function readRecipe(blobs: BlobStore, key: string, signal: AbortSignal): Promise<StoredRecipe> {
  const stream = await blobs.get(key, { range: { start: 0, end: MAX_DELTA_HEADER_BYTES }, signal })
  try {
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    const start = Buffer.concat(chunks)
    const headerBytes = recipeLength(start)
    return { recipe: parseRecipe(start.subarray(0, headerBytes)), headerBytes }
  } catch (error) {
    if (!isCode(error, 'BAD_DELTA')) throw error
    throw new CairnError('OBJECT_DAMAGED', `the recipe of ${key} is damaged`, { cause: error })
  } finally {
    stream.destroy()
  }
}
