import { createHash } from 'node:crypto'
import { isLegacy } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { filePieces } from '../io/file-pieces.ts'
import { fileBody } from './bodies.ts'
import { pathOf } from './bucket.ts'
import type { DirectApi, DirectPlace } from './direct-api.ts'
import { noteUnsound, type Outgoing } from './outgoing.ts'
import { changedObject, noteRefusal, type PushRun, type PushWay } from './push-run.ts'

/** Below this the two questions cost more than they save: at 6 MiB a fifth of the CPU, at 30 ms the time of 60 ms. */
const SMALLEST = 8 * 1024 * 1024
/** One that breaks off was sent for nothing, so what is larger goes in parts, of which only one is. */
const LARGEST = 1024 * 1024 * 1024

/**
 * Straight into the server's bucket, which compares the bytes with the md5, the sha256 and the length that the URL was signed
 * for. Whatever fails there is sent through the server.
 */
export const pushDirect: PushWay = async (run, object) => {
  const { direct } = run
  if (!direct?.offers('put') || object.size < SMALLEST || object.size > LARGEST || isLegacy(object.digest)) return false
  if (direct.journal.isBegun(object.digest)) return false
  try {
    return await pushTo(direct, run, object)
  } catch (error) {
    if (!(error instanceof CairnError) || isCode(error, 'CANCELLED', 'SESSION_UNKNOWN')) throw error
    if (isCode(error, 'DIGEST_CONFLICT')) noteRefusal(run, object.digest, error)
    else direct.failed(object.digest, error)
    return isCode(error, 'DIGEST_CONFLICT')
  }
}

async function pushTo(direct: DirectApi, run: PushRun, object: Outgoing): Promise<boolean> {
  const { digest, size } = object
  const about = { session: run.session, signal: run.options.signal }
  const sha256 = await sha256OfFile(object, about.signal)
  const place = sha256 && (await direct.place({ digest, size, sha256 }, about))
  if (!place) return false
  if (place === 'present') return true
  direct.journal.begin(digest)
  const sent = await sendTo(place, run, object)
  if (sent) {
    await direct.commit(digest, place.upload, about)
    run.pushed++
    run.bytes += size
  }
  direct.journal.end(digest)
  return true
}

/** False when the object changed on the way, which is noted. */
async function sendTo({ bucket, url, ...place }: DirectPlace, run: PushRun, object: Outgoing): Promise<boolean> {
  // A bucket that refuses at once would cut the line while the body is on its way, and the reason would be lost.
  const headers = { ...place.headers, expect: '100-continue' }
  const count = run.meter.body()
  const body = () => {
    count.restart()
    return fileBody(object, (bytes) => count.add(bytes))
  }
  try {
    await bucket.send({ method: 'PUT', path: pathOf(url), headers, body, signal: run.options.signal }, () => Promise.resolve())
    return true
  } catch (error) {
    count.restart()
    const changed = changedObject(error)
    if (changed === undefined) throw error
    noteUnsound(changed, true, run.failures)
    return false
  }
}

/** undefined when it cannot be read as the object it was: the way through the server tells what is wrong with it. */
async function sha256OfFile(object: Outgoing, signal: AbortSignal): Promise<string | undefined> {
  const hash = createHash('sha256')
  try {
    for await (const chunk of filePieces(object.path, 1 << 20, signal)) {
      hash.update(chunk)
    }
  } catch (error) {
    signal.throwIfAborted()
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
  return hash.digest('hex')
}
