import type { ObjectAnswer } from '@cairn/protocol/api'
import {
  addSegment,
  LITERAL,
  literalBytes,
  MAX_BASES,
  MAX_SEGMENTS,
  MIN_DELTA_OBJECT_BYTES,
  packRecipe,
  type Recipe,
  type Segment,
} from '@cairn/protocol/delta'
import { type DeltaStream, openDelta } from '@cairn/protocol/delta-stream'
import { type Digest, isDigest, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { deltaKey } from './blob-key.ts'
import { inBlocks, releaseBlock } from './blocks.ts'
import { mendTrees } from './damage.ts'
import { findRow, isPresent, linkSingle } from './objects.ts'
import { createPieceReader, type Piece, type PieceReader } from './pieces.ts'
import type { Bytes } from './ports/blob-store.ts'
import type { ObjectRow, ProjectRow } from './ports/catalog.ts'
import { piecesOf } from './recipe.ts'
import { meterFor } from './side-meter.ts'
import type { Stores } from './stores.ts'
import { type Measured, verifyStream } from './verify-stream.ts'

export interface StoreDelta {
  digest: Digest
  /** A delta whose bases are digests of this project. */
  bytes: Bytes
  /** The largest object accepted, in bytes. */
  limit: number
  signal: AbortSignal
}

/**
 * Stores an object that came as pieces of others. It is put together once, while the literals stream into the blob, and
 * hashed as any upload is; then it is linked. The blob names the blobs that it is made of, never another recipe: what a
 * base itself is made of is written down in its place, so that every read is one step deep.
 * @throws CairnError BAD_DELTA, BASE_UNKNOWN, DIGEST_MISMATCH, DIGEST_CONFLICT, BODY_TOO_LARGE
 */
export async function storeDelta(stores: Stores, project: ProjectRow, request: StoreDelta): Promise<ObjectAnswer> {
  const { digest, signal } = request
  const standing = await findRow(stores, project.id, digest)
  if (standing && isPresent(standing)) return { digest, size: standing.size, outcome: 'exists' }
  const delta = await openDelta(request.bytes)
  try {
    checkRecipe(delta.recipe, request)
    const { recipe, pieces } = await resolve(stores, project, delta.recipe, signal)
    const key = deltaKey(project.id, digest)
    const assembly = assemble(stores, { recipe, pieces, delta, limit: request.limit, signal })
    const size = await stores.blobs.put(key, assembly.bytes, { signal, size: assembly.size })
    const { sha256, size: length } = assembly.measured()
    const object = { digest, size: length, sha256, offset: 0 }
    const outcome = await linkSingle(stores, project, key, object, { delta: { size, bases: recipe.bases } })
    if (standing?.state === 'damaged' && outcome === 'stored') await mendTrees(stores, project.id)
    return { digest, size: length, outcome }
  } finally {
    await delta.close()
  }
}

function checkRecipe(recipe: Recipe, { digest, limit }: StoreDelta): void {
  if (recipe.digest !== digest) throw bad(`the recipe is that of ${recipe.digest}`)
  if (isTree(digest)) throw bad('a tree does not come as a delta')
  if (recipe.size < MIN_DELTA_OBJECT_BYTES) throw bad(`an object of ${recipe.size} bytes is too small for a delta`)
  if (recipe.size > limit) throw new CairnError('BODY_TOO_LARGE', `an object has at most ${limit} bytes here`)
}

interface Resolved {
  /** As it rests: bases are keys of blobs. */
  recipe: Recipe
  /** Of the segments that are copied, in their order. */
  pieces: Piece[]
}

/** Bases become places in blobs. One of a foreign project is as unknown as one that never was. */
async function resolve(stores: Stores, project: ProjectRow, recipe: Recipe, signal: AbortSignal): Promise<Resolved> {
  const bases = await findBases(stores, project, recipe.bases)
  const segments: Segment[] = []
  const keys = new Map<string, number>()
  for (const segment of recipe.segments) {
    const row = segment.base === LITERAL ? undefined : bases[segment.base]
    if (!row) {
      addSegment(segments, segment)
      continue
    }
    const range = { start: segment.offset, end: segment.offset + segment.length }
    if (range.end > row.size) throw bad(`a segment ends at ${range.end} of ${row.digest}, which has ${row.size} bytes`)
    for (const { key, offset, length } of await piecesOf(stores, row, range, signal)) {
      const base = keys.get(key) ?? keys.size
      keys.set(key, base)
      addSegment(segments, { base, offset, length })
    }
    if (segments.length > MAX_SEGMENTS || keys.size > MAX_BASES) throw bad('the object would lie in too many pieces')
  }
  const names = [...keys.keys()]
  const pieces = segments
    .filter((segment) => segment.base !== LITERAL)
    .map(({ base, offset, length }) => ({ key: names[base] ?? '', offset, length }))
  return { recipe: { ...recipe, bases: names, segments }, pieces }
}

async function findBases(stores: Stores, project: ProjectRow, names: readonly string[]): Promise<ObjectRow[]> {
  const digests = names.map((name) => {
    if (!isDigest(name)) throw bad('a base that is not named by its digest')
    return name
  })
  const rows = await stores.catalog.findObjects(project.id, digests)
  const live = new Map(rows.filter(isPresent).map((row) => [row.digest, row]))
  return digests.map((digest) => {
    const row = live.get(digest)
    if (!row)
      throw new CairnError('BASE_UNKNOWN', `${digest}: no such object in this project`, { hint: 'Send the whole object.' })
    return row
  })
}

interface Assembly {
  /** What rests: the header and the literals. Fails at its end when the object does not hash to its digest. */
  bytes: Bytes
  size: number
  /** Only after `bytes` has ended well. */
  measured(): { sha256: Uint8Array; size: number }
}

function assemble(stores: Stores, parts: Resolved & { delta: DeltaStream; limit: number; signal: AbortSignal }): Assembly {
  const { recipe, pieces, delta, signal } = parts
  const header = packRecipe(recipe)
  const passing: Uint8Array[] = []
  let measured: Measured | undefined
  async function* store(): AsyncGenerator<Uint8Array> {
    const reader = createPieceReader(stores.blobs, pieces, signal)
    try {
      yield header
      const measuring = measure(
        stores,
        putTogether(recipe, reader, delta, (literal) => passing.push(literal)),
        parts,
      )
      for (let step = await measuring.next(); ; step = await measuring.next()) {
        // The last step throws when the object is not what it should be, so that its end is never given away.
        yield* passing.splice(0)
        if (!step.done) continue
        measured = step.value
        return
      }
    } finally {
      reader.close()
    }
  }
  return {
    bytes: store(),
    size: header.length + literalBytes(recipe),
    measured() {
      if (!measured) throw new Error('measured() was called before the object was put together')
      return measured
    },
  }
}

/** Takes what `source` yields. A step for each block of it; the last is what they make, verified. */
async function* measure(
  stores: Stores,
  source: Bytes,
  { recipe, limit }: { recipe: Recipe; limit: number },
): AsyncGenerator<void, Measured> {
  const { digest, size } = recipe
  const verified = verifyStream(inBlocks(source), { digest, limit, meter: meterFor(stores, { digest, size }) })
  for await (const block of verified.bytes) {
    releaseBlock(block)
    yield
  }
  return verified.measured()
}

async function* putTogether(
  recipe: Recipe,
  copies: PieceReader,
  delta: DeltaStream,
  onLiteral: (bytes: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  let piece = 0
  for (const { base, length } of recipe.segments) {
    if (base !== LITERAL) {
      yield* copies.read(piece++)
      continue
    }
    for await (const bytes of delta.take(length)) {
      // What is yielded is taken, and a literal still has to be stored.
      onLiteral(Uint8Array.from(bytes))
      yield bytes
    }
  }
  await delta.end()
}

const bad = (what: string): CairnError => new CairnError('BAD_DELTA', what, { hint: 'Send the whole object.' })
