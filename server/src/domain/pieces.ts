import type { Readable } from 'node:stream'
import { CairnError } from '@cairn/protocol/error'
import type { BlobStore, Bytes } from './ports/blob-store.ts'

/** Bytes of a blob that are what they are: no piece of a piece. */
export interface Piece {
  key: string
  /** From the first byte of the blob. */
  offset: number
  length: number
}

/** Reading over a gap of this size is cheaper than asking the storage again. */
const GAP_BYTES = 128 * 1024
/** Blobs that take turns are read at once, as far as this. */
const OPEN_READS = 4

/** One read of the storage, for all pieces that follow each other in the same blob. */
export interface PieceRun {
  key: string
  start: number
  end: number
}

/** The run of each piece, in their order. Pure. */
export function planRuns(pieces: readonly Piece[]): PieceRun[] {
  const last = new Map<string, PieceRun>()
  return pieces.map(({ key, offset, length }) => {
    const run = last.get(key)
    if (run && offset >= run.end && offset - run.end <= GAP_BYTES) {
      run.end = offset + length
      return run
    }
    const fresh = { key, start: offset, end: offset + length }
    last.set(key, fresh)
    return fresh
  })
}

export interface PieceReader {
  /** The bytes of one piece; to be asked for in the order of the pieces. @throws CairnError OBJECT_DAMAGED when the blob ends before */
  read(index: number): AsyncGenerator<Uint8Array>
  close(): void
}

/** Close it: it holds a few open reads, and opens the next one ahead of its time. */
export function createPieceReader(blobs: BlobStore, pieces: readonly Piece[], signal: AbortSignal): PieceReader {
  const runs = planRuns(pieces)
  const open = new Map<PieceRun, Source>()
  const drop = (run: PieceRun) => {
    open.get(run)?.close()
    open.delete(run)
  }
  const sourceOf = (run: PieceRun, position: number): Source => {
    const known = open.get(run)
    const source = known ?? openSource(blobs, { ...run, start: position }, signal)
    // The one used last stands last.
    open.delete(run)
    open.set(run, source)
    for (const oldest of open.keys()) {
      if (open.size <= OPEN_READS) break
      drop(oldest)
    }
    return source
  }
  return {
    async *read(index) {
      const piece = pieces[index]
      const run = runs[index]
      if (!piece || !run) throw new Error(`there is no piece ${index}`)
      const source = sourceOf(run, piece.offset)
      const next = runs[index + 1]
      if (next && next !== run && open.size < OPEN_READS) sourceOf(next, pieces[index + 1]?.offset ?? next.start)
      yield* source.take(piece)
      if (piece.offset + piece.length === run.end) drop(run)
    },
    close() {
      for (const run of open.keys()) drop(run)
    },
  }
}

export async function* readPieces(blobs: BlobStore, pieces: readonly Piece[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = createPieceReader(blobs, pieces, signal)
  try {
    for (let index = 0; index < pieces.length; index++) yield* reader.read(index)
  } finally {
    reader.close()
  }
}

interface Source {
  take(piece: Piece): AsyncGenerator<Uint8Array>
  close(): void
}

function openSource(blobs: BlobStore, run: PieceRun, signal: AbortSignal): Source {
  const opening = blobs.get(run.key, { range: { start: run.start, end: run.end }, signal })
  // An opened read that nobody comes to take must not end the server.
  opening.then(
    (stream) => stream.on('error', () => undefined),
    () => undefined,
  )
  let chunks: AsyncIterator<Uint8Array> | undefined
  let chunk: Uint8Array = new Uint8Array()
  let position = run.start
  const next = async (): Promise<Uint8Array> => {
    chunks ??= ((await opening) as Readable & Bytes)[Symbol.asyncIterator]()
    while (chunk.length === 0) {
      const read = await chunks.next()
      if (read.done) throw new CairnError('OBJECT_DAMAGED', `the blob ended ${run.end - position} bytes early`)
      chunk = read.value
    }
    return chunk
  }
  return {
    async *take({ offset, length }) {
      while (position < offset + length) {
        const bytes = await next()
        const wanted = position < offset ? offset - position : offset + length - position
        const part = bytes.subarray(0, wanted)
        chunk = bytes.subarray(part.length)
        const skipped = position < offset
        position += part.length
        if (!skipped) yield part
      }
    },
    close() {
      opening.then(
        (stream) => stream.destroy(),
        () => undefined,
      )
    },
  }
}
