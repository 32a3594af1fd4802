import { LITERAL, literalBytes, MAX_SEGMENTS, packRecipe, type Recipe, type Segment, addSegment } from '@cairn/protocol/delta'
import type { Digest } from '@cairn/protocol/digest'
import { isPresent } from './objects.ts'
import { type Piece, readPieces } from './pieces.ts'
import type { Bytes } from './ports/blob-store.ts'
import type { ObjectRow, ProjectRow } from './ports/catalog.ts'
import { piecesOf } from './recipe.ts'
import type { Stores } from './stores.ts'

/** Above this share of new bytes the whole is as well. */
const WORTH = 0.5
/** More bases are not looked at. */
const MAX_STRETCHES = 4 * MAX_SEGMENTS

export interface Difference {
  /** A delta whose bases are digests that the asker has. Not verified: the asker hashes what it makes of it. */
  bytes: Bytes
  size: number
}

/**
 * The object as a difference to others that the asker has, found in how they are stored and without reading any of them:
 * what was pushed as a delta is fetched as one. undefined when their blobs have too little in common.
 */
export async function findDifference(
  stores: Stores,
  project: ProjectRow,
  row: ObjectRow,
  { have, signal }: { have: readonly Digest[]; signal: AbortSignal },
): Promise<Difference | undefined> {
  const bases = (await stores.catalog.findObjects(project.id, have)).filter(isPresent)
  const stretches = await stretchesOf(stores, bases, signal)
  const pieces = await piecesOf(stores, row, { start: 0, end: row.size }, signal)
  const { segments, literals } = cover(pieces, stretches)
  const recipe: Recipe = { digest: row.digest, size: row.size, bases: bases.map((base) => base.digest), segments }
  const rest = literalBytes(recipe)
  if (rest > row.size * WORTH || segments.length > MAX_SEGMENTS) return undefined
  const header = packRecipe(recipe)
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield header
    yield* readPieces(stores.blobs, literals, signal)
  }
  return { bytes: bytes(), size: header.length + rest }
}

/** A range of a blob that is a range of a base. */
export interface Stretch {
  start: number
  end: number
  base: number
  baseOffset: number
}

async function stretchesOf(stores: Stores, bases: readonly ObjectRow[], signal: AbortSignal): Promise<Map<string, Stretch[]>> {
  const byKey = new Map<string, Stretch[]>()
  let count = 0
  for (const [base, row] of bases.entries()) {
    if (count > MAX_STRETCHES) break
    let baseOffset = 0
    for (const { key, offset, length } of await piecesOf(stores, row, { start: 0, end: row.size }, signal)) {
      const list = byKey.get(key) ?? []
      byKey.set(key, list)
      list.push({ start: offset, end: offset + length, base, baseOffset })
      baseOffset += length
      count++
    }
  }
  for (const list of byKey.values()) list.sort((a, b) => a.start - b.start)
  return byKey
}

/** Covers the pieces with stretches where it can; what is left are literals, with where they are. Pure. */
export function cover(
  pieces: readonly Piece[],
  stretches: ReadonlyMap<string, readonly Stretch[]>,
): { segments: Segment[]; literals: Piece[] } {
  const segments: Segment[] = []
  const literals: Piece[] = []
  let literalEnd = 0
  for (const { key, offset, length } of pieces) {
    let at = offset
    const end = offset + length
    const leave = (to: number) => {
      if (to <= at) return
      addSegment(segments, { base: LITERAL, offset: literalEnd, length: to - at })
      literals.push({ key, offset: at, length: to - at })
      literalEnd += to - at
      at = to
    }
    for (const stretch of stretches.get(key) ?? []) {
      if (stretch.start >= end) break
      if (stretch.end <= at) continue
      leave(stretch.start)
      const to = Math.min(end, stretch.end)
      addSegment(segments, { base: stretch.base, offset: stretch.baseOffset + at - stretch.start, length: to - at })
      at = to
      if (at === end) break
    }
    leave(end)
  }
  return { segments, literals }
}
