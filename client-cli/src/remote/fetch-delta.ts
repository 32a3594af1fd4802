import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { LITERAL, literalBytes, packRecipe, type Segment } from '@cairn/protocol/delta'
import type { DeltaStream } from '@cairn/protocol/delta-stream'
import { type Digest, isTree } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { formatBytes } from '../report/progress.ts'
import { type DeltaApi, wholeInstead } from './delta-api.ts'
import type { CairnFetch, FetchWay, Tally } from './fetch-run.ts'
import { chunksOfFile, matchChunks, placesOf } from './file-difference.ts'
import { SMALLEST_DELTA_OBJECT } from './push-delta.ts'

/** A larger share of new bytes is fetched whole. */
const MOST_LITERALS = 0.5
/** Earlier versions that the server is told of. */
const MOST_BASES = 16
/** Parts that are fetched one by one; more of them are not worth their requests. */
const MOST_PARTS = 256
const PART_BYTES = 4 * 1024 * 1024
/** Parts under way at once: what they may hold in memory. */
const PARTS_AHEAD = 4
const READ_BYTES = 1024 * 1024
/** Reads between two breaths. */
const BREATH = 8

/** What a large object is put together from, and how many bytes of it come over the line. */
interface Plan {
  bytes: AsyncIterable<Uint8Array>
  wire: number
}

/** Brings a large object as its difference to earlier versions in the cache. */
export const fetchDelta: FetchWay = async (fetch, digest, tally) => {
  const { deltas, options, sink } = fetch
  if (!deltas?.offered() || !options.earlier || isTree(digest)) return false
  try {
    const have = await findBases(fetch, digest)
    if (have.length === 0) return false
    const take = async (plan: Plan) =>
      note(fetch, digest, { tally, wire: plan.wire, size: await sink.storeStream(digest, plan.bytes, options.signal) })
    const known = await deltas.fetch(
      digest,
      have.map((base) => base.digest),
      (delta) => take(planOf(delta, have)),
      options.signal,
    )
    if (known) return true
    const plan = await planByChunks(fetch, { digest, deltas, have })
    return plan !== undefined && (await take(plan))
  } catch (error) {
    if (isCode(error, 'OBJECT_UNKNOWN') || !wholeInstead(error)) throw error
    options.report({ type: 'debug', text: `${digest}: fetched whole, for ${(error as Error).message}` })
    return false
  }
}

function note(
  { options }: CairnFetch,
  digest: Digest,
  { tally, wire, size }: { tally: Tally; wire: number; size: number },
): true {
  options.report({ type: 'debug', text: `${digest}: fetched ${formatBytes(wire)} instead of ${formatBytes(size)}` })
  tally.settle(digest, 'transferred', wire)
  return true
}

interface Base {
  digest: Digest
  path: string
}

async function findBases({ cache, options }: CairnFetch, digest: Digest): Promise<Base[]> {
  const earlier = (await options.earlier?.(digest)) ?? []
  return [...new Set(earlier)]
    .filter((base) => base !== digest && !isTree(base) && cache.has(base))
    .map((base) => ({ digest: base, path: cache.pathOf(base) }))
    .filter((base) => statSync(base.path).size >= SMALLEST_DELTA_OBJECT / 2)
    .slice(0, MOST_BASES)
}

/** What the server knows without looking: the object rests as pieces of others, or others as pieces of it. */
function planOf(delta: DeltaStream, have: readonly Base[]): Plan {
  const { recipe } = delta
  const paths = recipe.bases.map((name) => have.find((base) => base.digest === name)?.path)
  const literal = ({ length }: Segment) => delta.take(length)
  return {
    bytes: putTogether(recipe.segments, paths, literal),
    wire: packRecipe(recipe).length + literalBytes(recipe),
  }
}

/** Where the line is slow, the chunks of both sides are compared. undefined: the whole is better. */
async function planByChunks(
  fetch: CairnFetch,
  { digest, deltas, have }: { digest: Digest; deltas: DeltaApi; have: readonly Base[] },
): Promise<Plan | undefined> {
  const { signal } = fetch.options
  const [base] = have
  if (!base || !(await deltas.isSlow(digest, signal))) return undefined
  const wanted = await deltas.chunks(digest, signal)
  const segments = matchChunks(wanted, placesOf(await chunksOfFile(base.path, signal), 0), 0)
  const size = wanted.reduce((sum, chunk) => sum + chunk.length, 0)
  const literals = segments.filter((segment) => segment.base === LITERAL)
  const wire = literals.reduce((sum, segment) => sum + segment.length, 0)
  if (size < SMALLEST_DELTA_OBJECT || wire > size * MOST_LITERALS || literals.length > MOST_PARTS) return undefined
  const parts = partsAhead(literals, (range) => deltas.part(digest, range, signal))
  return { bytes: putTogether(segments, [base.path], parts), wire: wire + wanted.length * 20 }
}

/** Gives the bytes of one literal after the other, and asks for those to come ahead of their time. */
function partsAhead(
  literals: readonly Segment[],
  ask: (range: { start: number; end: number }) => Promise<Uint8Array>,
): (segment: Segment) => AsyncGenerator<Uint8Array> {
  const ranges = literals.flatMap(({ offset, length }) =>
    Array.from({ length: Math.ceil(length / PART_BYTES) }, (_, index) => ({
      start: offset + index * PART_BYTES,
      end: Math.min(offset + length, offset + (index + 1) * PART_BYTES),
    })),
  )
  const asked: Array<Promise<Uint8Array>> = []
  let next = 0
  const take = async (): Promise<Uint8Array> => {
    for (; asked.length < PARTS_AHEAD && next < ranges.length; next++) {
      const range = ranges[next]
      if (!range) break
      const part = ask(range)
      // One that fails while nobody waits for it is thrown when its turn comes.
      part.catch(() => undefined)
      asked.push(part)
    }
    const part = await asked.shift()
    if (!part) throw new Error('there is no further part')
    return part
  }
  return async function* ({ length }) {
    for (let left = length; left > 0;) {
      const part = await take()
      left -= part.length
      if (part.length === 0 || left < 0) throw new CairnError('BAD_DELTA', 'a part came in another length than asked for')
      yield part
    }
  }
}

async function* putTogether(
  segments: readonly Segment[],
  bases: readonly (string | undefined)[],
  literal: (segment: Segment) => AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const files = new Map<number, number>()
  const open = (base: number): number => {
    const path = bases[base]
    if (path === undefined) throw new CairnError('BAD_DELTA', 'the server named a base that is not here')
    const fd = files.get(base) ?? openSync(path, 'r')
    files.set(base, fd)
    return fd
  }
  try {
    for (const segment of segments) {
      if (segment.base === LITERAL) yield* literal(segment)
      else yield* readSegment(open(segment.base), segment)
    }
  } finally {
    for (const fd of files.values()) closeSync(fd)
  }
}

/** A chunk is gone when the next one is asked for. */
async function* readSegment(fd: number, { offset, length }: Segment): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, length))
  let reads = 0
  for (let done = 0; done < length;) {
    const read = readSync(fd, buffer, 0, Math.min(buffer.length, length - done), offset + done)
    if (read === 0) throw new CairnError('BAD_DELTA', 'the earlier version in the cache is too short')
    yield buffer.subarray(0, read)
    done += read
    // Disk to disk keeps the thread busy; others get their turn.
    if (++reads % BREATH === 0) await setImmediate()
  }
}
