import { type Digest, makeDigest } from '@cairn/protocol/digest'
import { closeSync, openSync, writeSync } from 'node:fs'
import { createMd5 } from '../cache/md5.ts'
import { treePieces } from '../cache/tree-pieces.ts'
import { explainFull } from '../io/full-disk.ts'
import type { Desk } from './desk.ts'
import { createPace } from './pace.ts'
import type { Scan } from './scan.ts'

type Rows = Pick<Scan, 'rows' | 'legacy' | 'unchanged'>

/** The name of a folder's tree; needs every digest. Gives way between pieces: a million files take seconds. */
export async function treeOfScan(desk: Desk, scan: Rows): Promise<Digest> {
  return scan.unchanged?.tree ?? hashPieces(desk, scan, () => undefined)
}

/** The same, with the tree in the cache. */
export async function storeTreeOfScan(desk: Desk, scan: Rows): Promise<Digest> {
  const known = scan.unchanged?.tree
  if (known && desk.cache.isSound(known)) return known
  const draft = desk.cache.draft()
  let adopted = false
  try {
    const fd = openSync(draft, 'w')
    try {
      const tree = await hashPieces(desk, scan, (piece) => {
        for (let offset = 0; offset < piece.length;) offset += writeSync(fd, piece, offset)
      })
      adopted = !desk.cache.isSound(tree)
      if (adopted) desk.cache.adopt(draft, tree)
      return tree
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw explainFull(error, desk.cache.dir)
  } finally {
    if (!adopted) desk.cache.discard(draft)
  }
}

async function hashPieces(desk: Desk, { rows, legacy }: Rows, onPiece: (piece: Buffer) => void): Promise<Digest> {
  const md5 = createMd5()
  const pace = createPace(desk.signal)
  for (const piece of treePieces(rows)) {
    const waiting = pace()
    if (waiting) await waiting
    md5.update(piece)
    onPiece(piece)
  }
  return makeDigest(md5.digest(), { tree: true, legacy })
}
