import type { Digest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { cutSpans, type Span } from '../cache/byte-spans.ts'
import type { Receiving } from '../cache/receiving.ts'
import { mapLimit } from '../io/limit.ts'
import type { CairnFetch, Tally } from './fetch-run.ts'
import type { RangeReader } from './http-line.ts'

/** What one request asks for. Small, so that the connections stay close together and the hash close behind them. */
const PIECE_BYTES = 8 << 20
/** A connection that brings nothing for so long is given up for another. */
const STALL_MS = 10_000
/** So often in a row without a byte. */
const STALLS = 4

/**
 * Brings a large object in pieces over several connections, straight into the cache's draft. What a killed run has brought
 * stays, and only the rest is asked for. The whole is hashed as it comes; wrong bytes are dropped, and the next way tried.
 */
export async function fetchInRanges(fetch: CairnFetch, digest: Digest, tally: Tally): Promise<boolean> {
  const { receptions } = fetch.sink
  const standing = receptions.standing(digest)
  const object: Incoming = { digest, receiving: standing === undefined ? undefined : receptions.open(digest, standing) }
  const before = object.receiving ? missingBytes(object.receiving) : undefined
  try {
    const outcome = object.receiving ? 'read' : await fetchPiece(fetch, object, { start: 0, end: PIECE_BYTES })
    const last = outcome === 'read' ? await fetchRest(fetch, object) : outcome
    if (last !== 'read' || !object.receiving) {
      object.receiving?.discard()
      if (last === 'gone') tally.settle(digest, 'absent', 0)
      return last === 'gone'
    }
    return await finish(object.receiving, digest, tally, before ?? object.receiving.size)
  } catch (error) {
    // What fills the disk is not kept there.
    if (isCode(error, 'STORAGE_FULL')) object.receiving?.discard()
    else object.receiving?.pause()
    throw error
  }
}

interface Incoming {
  digest: Digest
  /** Known from the first answer on, which tells the size. */
  receiving: Receiving | undefined
}

type Outcome = 'read' | 'gone' | 'no ranges'

const missingBytes = (receiving: Receiving): number => receiving.missing().reduce((sum, span) => sum + span.end - span.start, 0)

async function finish(receiving: Receiving, digest: Digest, tally: Tally, bytes: number): Promise<boolean> {
  try {
    await receiving.finish()
  } catch (error) {
    if (isCode(error, 'DIGEST_MISMATCH')) return false
    throw error
  }
  tally.settle(digest, 'transferred', bytes)
  return true
}

async function fetchRest(fetch: CairnFetch, object: Incoming): Promise<Outcome> {
  const pieces = cutSpans(object.receiving?.missing() ?? [], PIECE_BYTES)
  const connections = fetch.options.jobs ?? fetch.api.limits.parallel
  let ended: Outcome = 'read'
  await mapLimit(pieces, connections, async (piece) => {
    if (ended !== 'read') return
    const outcome = await fetchPiece(fetch, object, piece)
    if (outcome !== 'read') ended = outcome
  })
  return ended
}

/** One piece, however many connections it takes. */
async function fetchPiece(fetch: CairnFetch, object: Incoming, piece: Span): Promise<Outcome> {
  const { api, options } = fetch
  const place = { position: piece.start, end: piece.end }
  for (let stalls = 0; place.position < place.end;) {
    const before = place.position
    const watch = createStallWatch(options.signal)
    try {
      const outcome = await api.fetchRange(
        object.digest,
        () => ({ start: place.position, end: place.end }),
        readInto(fetch, object, place, watch),
        watch.signal,
      )
      if (outcome !== 'read') return outcome
      if (place.position === before)
        throw new CairnError('REMOTE_FAILED', `'${object.digest}': an answer without bytes`, { exit: 1 })
    } catch (error) {
      if (!watch.stalled() || options.signal.aborted) throw error
      stalls = place.position === before ? stalls + 1 : 0
      if (stalls >= STALLS) throw stalledFor(object.digest)
    } finally {
      watch.end()
    }
  }
  return 'read'
}

const stalledFor = (digest: Digest): CairnError =>
  new CairnError('UNREACHABLE', `'${digest}': nothing came for ${(STALL_MS * STALLS) / 1000} s`, {
    hint: 'What came so far is kept: run the command again.',
  })

function readInto(fetch: CairnFetch, object: Incoming, place: { position: number; end: number }, watch: StallWatch): RangeReader {
  return {
    begin(size) {
      const receiving = (object.receiving ??= fetch.sink.receptions.open(object.digest, size))
      if (receiving.size !== size) throw otherSize(object.digest, { size, before: receiving.size })
      place.end = Math.min(place.end, size)
      watch.begin()
    },
    add(bytes) {
      watch.moved()
      object.receiving?.writeAt(place.position, bytes)
      place.position += bytes.length
    },
  }
}

const otherSize = (digest: Digest, { size, before }: { size: number; before: number }): CairnError =>
  new CairnError('REMOTE_FAILED', `'${digest}': has ${size} bytes there, and had ${before} before`, { exit: 1 })

interface StallWatch {
  /** Aborts when nothing has moved for too long, and with the outer signal. */
  signal: AbortSignal
  begin(): void
  moved(): void
  stalled(): boolean
  end(): void
}

function createStallWatch(outer: AbortSignal): StallWatch {
  const gaveUp = new AbortController()
  let movedAt = 0
  let timer: NodeJS.Timeout | undefined
  const end = () => clearInterval(timer)
  return {
    signal: AbortSignal.any([outer, gaveUp.signal]),
    begin() {
      end()
      movedAt = performance.now()
      timer = setInterval(() => {
        if (performance.now() - movedAt > STALL_MS) gaveUp.abort()
      }, STALL_MS / 10)
    },
    moved() {
      movedAt = performance.now()
    },
    stalled: () => gaveUp.signal.aborted,
    end,
  }
}
