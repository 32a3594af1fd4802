import { type Digest, isLegacy, isTree, makeDigest, md5Of } from '@cairn/protocol/digest'
import { filePieces } from '../io/file-pieces.ts'

const PIECE_BYTES = 256 * 1024
/** As dvc and Cairn write an entry. Inside of a string its quotes would have backslashes, so it is never found in a path. */
const BEFORE = '{"md5": "'
const AFTER = '", "relpath": "'
const ENTRY = /^\[?\{"md5": "([0-9a-f]{32})", "relpath": "/
const NEEDLE_BYTES = BEFORE.length + 32 + AFTER.length

/**
 * True when the tree's file, which is sound, names all of these files, in this order: as a server lists what it lacks. A search
 * for bytes, at a tenth of what reading the entries costs. False says nothing: they may stand in another order.
 */
export async function namesInOrder(tree: { digest: Digest; path: string }, files: readonly Digest[]): Promise<boolean> {
  if (files.some((file) => isTree(file) || isLegacy(file) !== isLegacy(tree.digest))) return false
  let found = 0
  let rest: Buffer = Buffer.alloc(0)
  for await (const piece of filePieces(tree.path, PIECE_BYTES)) {
    const bytes = Buffer.concat([rest, piece])
    let at = 0
    for (let file = files[found]; file !== undefined; file = files[++found]) {
      const place = bytes.indexOf(BEFORE + md5Of(file) + AFTER, at, 'latin1')
      if (place < 0) break
      at = place + NEEDLE_BYTES
    }
    if (found === files.length) return true
    rest = bytes.subarray(Math.max(at, bytes.length - NEEDLE_BYTES + 1))
  }
  return false
}

/** The file that an entry of a tree names, as it is written there; undefined when it is written in another way. */
export function fileIn(entry: Buffer, tree: Digest): Digest | undefined {
  const md5 = ENTRY.exec(entry.toString('latin1', 0, NEEDLE_BYTES + 1))?.[1]
  return md5 === undefined ? undefined : makeDigest(md5, { legacy: isLegacy(tree) })
}
