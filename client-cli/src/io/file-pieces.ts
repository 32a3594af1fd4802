import { createReadStream } from 'node:fs'

/**
 * A file's bytes in pieces of at most `pieceBytes`. It is opened at the first read and closed when the reader stops: one that
 * is never read leaves nothing open, and no error that nobody listens to.
 */
export async function* filePieces(path: string, pieceBytes: number, signal?: AbortSignal): AsyncGenerator<Buffer> {
  yield* createReadStream(path, { highWaterMark: pieceBytes, signal }) as AsyncIterable<Buffer>
}
