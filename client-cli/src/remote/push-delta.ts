import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { LITERAL, packRecipe, type Segment } from '@cairn/protocol/delta'
import { type Digest, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { formatBytes } from '../report/progress.ts'
import { type DeltaApi, wholeInstead } from './delta-api.ts'
import { compareFiles, compareWithChunks, type FileDifference } from './file-difference.ts'
import type { HttpBody } from './http-exchange.ts'
import type { Outgoing } from './outgoing.ts'
import type { PushRun, PushWay } from './push-run.ts'

/** Below this, the questions cost more than the bytes. */
export const SMALLEST_DELTA_OBJECT = 8 * 1024 * 1024
/** A larger share of new bytes is not worth the reads it leaves behind. */
const MOST_LITERALS = 0.5
/** Versions that are asked for. */
const MOST_BASES = 16
const READ_BYTES = 256 * 1024

/** Sends a large object as its difference to an earlier version that the server has. */
export const pushDelta: PushWay = async (run, object) => {
  const { deltas, options } = run
  if (!deltas?.offered() || !options.earlier || object.size < SMALLEST_DELTA_OBJECT) return false
  try {
    const base = await findBase(run, object)
    const difference = base && (await compareWith(run, base, { object, deltas }))
    if (!base || !difference || difference.literalBytes > object.size * MOST_LITERALS) return false
    await send(run, deltas, { object, base, difference })
    return true
  } catch (error) {
    if (!wholeInstead(error)) throw error
    options.report({ type: 'debug', text: `${object.digest}: sent whole, for ${(error as Error).message}` })
    return false
  }
}

/** The newest earlier version that the server has, one that is in the cache before others. */
async function findBase({ api, cache, session, options }: PushRun, object: Outgoing): Promise<Digest | undefined> {
  const earlier = (await options.earlier?.(object.digest)) ?? []
  const candidates = [...new Set(earlier)].filter((digest) => digest !== object.digest && !isTree(digest)).slice(0, MOST_BASES)
  if (candidates.length === 0) return undefined
  const { missing } = await api.missing(candidates, { intent: 'push', session, signal: options.signal })
  const there = candidates.filter((digest) => !missing.has(digest))
  return there.find((digest) => cache.has(digest)) ?? there[0]
}

async function compareWith(
  { cache, options }: PushRun,
  base: Digest,
  { object, deltas }: { object: Outgoing; deltas: DeltaApi },
): Promise<FileDifference | undefined> {
  const { signal } = options
  const mayChunk = () => deltas.isSlow(base, signal)
  if (cache.has(base)) {
    const size = statSync(cache.pathOf(base)).size
    if (Math.min(size, object.size) < Math.max(size, object.size) / 2) return undefined
    return compareFiles(cache.pathOf(base), object.path, { signal, mayChunk })
  }
  if (!(await mayChunk())) return undefined
  return compareWithChunks(await deltas.chunks(base, signal), object.path, signal)
}

async function send(
  run: PushRun,
  deltas: DeltaApi,
  { object, base, difference }: { object: Outgoing; base: Digest; difference: FileDifference },
): Promise<void> {
  const { session, options } = run
  const count = run.meter.body()
  const { header, literals } = layOut(object, base, difference)
  const length = header.length + difference.literalBytes
  const body = (): HttpBody => {
    count.restart()
    return { length, chunks: bodyOf(object, header, { literals, onBytes: (bytes) => count.add(bytes) }) }
  }
  try {
    await deltas.send(object.digest, body, { session, signal: options.signal })
  } catch (error) {
    count.restart()
    throw error
  }
  count.add(object.size - difference.literalBytes)
  run.pushed++
  run.bytes += length
  const [sent, whole] = [formatBytes(length), formatBytes(object.size)]
  options.report({ type: 'debug', text: `${object.digest}: sent ${sent} instead of ${whole}, as a difference to ${base}` })
}

/** Literals keep their places in the file; in the recipe they follow one another. */
function layOut(object: Outgoing, base: Digest, { segments }: FileDifference): { header: Uint8Array; literals: Segment[] } {
  let end = 0
  const laid = segments.map((segment) => {
    if (segment.base !== LITERAL) return segment
    end += segment.length
    return { ...segment, offset: end - segment.length }
  })
  const header = packRecipe({ digest: object.digest, size: object.size, bases: [base], segments: laid })
  return { header, literals: segments.filter((segment) => segment.base === LITERAL) }
}

function* bodyOf(
  object: Outgoing,
  header: Uint8Array,
  { literals, onBytes }: { literals: readonly Segment[]; onBytes: (bytes: number) => void },
): Generator<Uint8Array> {
  yield header
  const fd = openSync(object.path, 'r')
  try {
    for (const { offset, length } of literals) {
      for (let done = 0; done < length;) {
        const chunk = Buffer.allocUnsafe(Math.min(READ_BYTES, length - done))
        const read = readSync(fd, chunk, 0, chunk.length, offset + done)
        if (read === 0) throw new CairnError('BAD_DELTA', 'the file got shorter while it was sent')
        yield chunk.subarray(0, read)
        onBytes(read)
        done += read
      }
    }
  } finally {
    closeSync(fd)
  }
}
