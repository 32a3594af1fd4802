import { fileBody } from './bodies.ts'
import { noteUnsound, type Outgoing } from './outgoing.ts'
import { pushDelta } from './push-delta.ts'
import { pushDirect } from './push-direct.ts'
import { pushInParts } from './push-parts.ts'
import { changedObject, noteRefusal, type PushRun, type PushWay } from './push-run.ts'

/** Best first. */
const WAYS: readonly PushWay[] = [pushDelta, pushDirect, pushInParts]

/** Sends an object that no pack carries. */
export async function sendSingle(run: PushRun, object: Outgoing): Promise<void> {
  for (const way of WAYS) if (await way(run, object)) return
  await sendWhole(run, object)
}

async function sendWhole(run: PushRun, object: Outgoing): Promise<void> {
  const count = run.meter.body()
  const body = () => {
    count.restart()
    return fileBody(object, (bytes) => count.add(bytes))
  }
  try {
    await run.api.sendObject(object.digest, body, { session: run.session, signal: run.options.signal })
    run.pushed++
    run.bytes += object.size
  } catch (error) {
    count.restart()
    const changed = changedObject(error)
    if (changed !== undefined) noteUnsound(changed, true, run.failures)
    else noteRefusal(run, object.digest, error)
  }
}
