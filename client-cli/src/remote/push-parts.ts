import { open, type FileHandle } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StandingUpload } from '@cairn/protocol/api'
import { CairnError, isCode } from '@cairn/protocol/error'
import { type FileStat, sameStat, statOrNone } from '../cache/file-stat.ts'
import { mapLimit } from '../io/limit.ts'
import type { HttpBody } from './http-exchange.ts'
import { noteUnsound, type Outgoing } from './outgoing.ts'
import { noteRefusal, type PushRun } from './push-run.ts'

/** Below this, a broken connection costs less than the requests for parts. */
const SMALLEST = 16 << 20
/** While the server makes one part durable, the next one is on its way. */
const PARTS_AT_ONCE = 2
const CHUNK_BYTES = 1 << 20
/** Uploads that were lost on the server, by their expiry or somebody's hand, are begun so often. */
const TRIES = 3
const AGAIN_MS = 300

/**
 * Sends a large object in parts. The server knows which parts it has, by the object's digest, so a push that was killed needs
 * no memory of its own: the next one asks, and sends the rest. A part is repeated by itself.
 */
export async function pushInParts(run: PushRun, object: Outgoing): Promise<boolean> {
  if (object.size < SMALLEST || !run.api.can('uploads')) return false
  for (let tries = 1; ; tries++) {
    try {
      return await pushOnce(run, object)
    } catch (error) {
      if (isCode(error, 'UPLOAD_UNKNOWN', 'UPLOAD_INCOMPLETE') && tries < TRIES) continue
      noteRefusal(run, object.digest, error)
      return true
    }
  }
}

async function pushOnce(run: PushRun, object: Outgoing): Promise<boolean> {
  const { api, session, options } = run
  const upload = await openUpload(run, object)
  if (upload === 'not offered') return false
  const count = run.meter.body()
  if (upload.upload === null) {
    count.add(object.size)
    return true
  }
  const before = statOrNone(object.path)
  const received = new Set(upload.received)
  const missing = partsOf(upload).filter((part) => !received.has(part.number))
  const rest = missing.reduce((sum, part) => sum + part.length, 0)
  count.add(object.size - rest)
  try {
    const sound = before?.size === object.size && (await sendParts(run, object, upload.upload, missing, before))
    if (!sound) {
      count.restart()
      noteUnsound(object.digest, true, run.failures)
      await api.uploads.cancel(upload.upload, options.signal).catch(() => undefined)
      return true
    }
    while (!(await api.uploads.complete(upload.upload, { session, signal: options.signal })))
      await sleep(AGAIN_MS, undefined, { signal: options.signal })
    run.pushed++
    run.bytes += rest
    return true
  } catch (error) {
    count.restart()
    throw error
  }
}

/** A server that offered it yesterday may be another one today; and one may have enough of them. */
async function openUpload(run: PushRun, { digest, size }: Outgoing) {
  try {
    return await run.api.uploads.open(digest, size, { session: run.session, signal: run.options.signal })
  } catch (error) {
    if (isCode(error, 'NOT_FOUND', 'UPLOADS_FULL')) return 'not offered'
    throw error
  }
}

interface Part {
  number: number
  start: number
  length: number
}

function partsOf({ size, partBytes }: StandingUpload): Part[] {
  const count = Math.ceil(size / partBytes)
  if (!(partBytes > 0) || count > 100_000) throw new CairnError('REMOTE_FAILED', 'the server cuts objects into impossible parts')
  return Array.from({ length: count }, (_, number) => ({
    number,
    start: number * partBytes,
    length: Math.min(partBytes, size - number * partBytes),
  }))
}

/** False when the file is no longer what it was at `before`. */
async function sendParts(
  run: PushRun,
  object: Outgoing,
  upload: string,
  parts: readonly Part[],
  before: FileStat,
): Promise<boolean> {
  const file = await open(object.path, 'r')
  const failed = new AbortController()
  const signal = AbortSignal.any([run.options.signal, failed.signal])
  // A part's bytes begin when those of the part before are all on their way: the server hashes them in this order.
  let turn: Promise<void> = Promise.resolve()
  const send = async (part: Part): Promise<void> => {
    const before = turn
    let handedOver = (): void => undefined
    turn = new Promise((resolve) => (handedOver = resolve))
    await before
    const count = run.meter.body()
    const body = (): HttpBody => {
      count.restart()
      return { length: part.length, chunks: readPart(file, part, (bytes) => count.add(bytes), handedOver) }
    }
    try {
      signal.throwIfAborted()
      await run.api.uploads.sendPart(upload, part.number, body, signal)
    } catch (error) {
      count.restart()
      failed.abort(error)
      throw error
    } finally {
      handedOver()
    }
  }
  try {
    await mapLimit(parts, PARTS_AT_ONCE, send)
  } catch (error) {
    if (error instanceof FileEnded) return false
    throw error
  } finally {
    await file.close()
  }
  const after = statOrNone(object.path)
  return after !== undefined && sameStat(after, before)
}

/** The file is shorter than it was. */
class FileEnded extends Error {}

/**
 * A part's bytes. While one chunk is sent the next is read, in three buffers that take turns: whoever asks for a chunk is done
 * with the one before the last.
 */
async function* readPart(
  file: FileHandle,
  { start, length }: Part,
  onBytes: (bytes: number) => void,
  onEnd: () => void,
): AsyncGenerator<Uint8Array> {
  const buffers = [0, 1, 2].map(() => Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, length)))
  const read = async (turn: number, position: number): Promise<Uint8Array> => {
    const buffer = buffers[turn % 3] as Buffer
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, start + length - position), position)
    if (bytesRead === 0 && position < start + length) throw new FileEnded()
    return buffer.subarray(0, bytesRead)
  }
  let position = start
  let reading = read(0, position)
  try {
    for (let turn = 1; position < start + length; turn++) {
      const chunk = await reading
      position += chunk.length
      reading = read(turn, position)
      reading.catch(() => undefined)
      yield chunk
      onBytes(chunk.length)
    }
    onEnd()
  } finally {
    await reading.catch(() => undefined)
  }
}
