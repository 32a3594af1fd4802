import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs'

/** Up to here a stream costs more than it saves: Node loads for it, and reads from another thread. */
const SHORT_BYTES = 4 << 20

/**
 * A file's bytes in pieces of at most `pieceBytes`. It is opened at the first read and closed when the reader stops: one that
 * is never read leaves nothing open, and no error that nobody listens to.
 */
export async function* filePieces(path: string, pieceBytes: number, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const size = signal === undefined ? statSync(path).size : Infinity
  if (size <= SHORT_BYTES) yield* shortPieces(path, pieceBytes, size)
  else yield* createReadStream(path, { highWaterMark: pieceBytes, signal }) as AsyncIterable<Buffer>
}

function* shortPieces(path: string, pieceBytes: number, size: number): Generator<Buffer> {
  const file = openSync(path, 'r')
  try {
    for (;;) {
      const piece = Buffer.allocUnsafe(Math.min(pieceBytes, size + 1))
      const read = readSync(file, piece)
      if (read === 0) return
      yield piece.subarray(0, read)
    }
  } finally {
    closeSync(file)
  }
}
