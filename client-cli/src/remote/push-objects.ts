import type { PackAnswer } from '@cairn/protocol/api'
import type { Digest } from '@cairn/protocol/digest'
import { packBody } from './bodies.ts'
import { createDigestList, type DigestList } from './digest-list.ts'
import { noteUnsound, type Outgoing, takePresent, takeSound } from './outgoing.ts'
import { isLarge, planSends } from './pack-plan.ts'
import { inParallel, type Task } from './parallel.ts'
import { changedObject, type PushRun } from './push-run.ts'
import { sendSingle } from './push-single.ts'

/** Objects that are looked at before the first of them is sent: some milliseconds of work. */
const WINDOW = 4096

/** Sends objects, in the order given as far as they go in packs; doubles once. What cannot be sent is noted in the run. */
export async function sendObjects(run: PushRun, lists: ReadonlyArray<Iterable<Digest>>): Promise<void> {
  const digests = createDigestList()
  for (const list of lists) for (const digest of list) if (!run.early.has(digest)) digests.add(digest)
  const refused: Outgoing[] = []
  await inParallel(tasks(run, digests, refused), run.concurrency)
  // The server hashes every member, so the client does not: a refused one was damaged here or on the way. On the way is worth
  // a second try.
  const again = refused.map((object) => () => sendRefused(run, object))
  await inParallel(again, run.concurrency)
}

function* tasks(run: PushRun, digests: DigestList, refused: Outgoing[]): Generator<Task> {
  for (const send of planSends(outgoing(run, digests), run.api.limits, run.jobs)) {
    if (send.kind === 'single') yield () => sendAlone(run, send.object)
    else
      yield async () => {
        refused.push(...(await sendPack(run, send.members)))
        return send.members.reduce((sum, member) => sum + member.size, 0)
      }
  }
}

/** A window at a time, so that a million objects are never all held; within one the large objects first, the largest first. */
function* outgoing(run: PushRun, digests: DigestList): Generator<Outgoing> {
  let seen = 0
  let total = 0
  let large: Outgoing[] = []
  let small: Outgoing[] = []
  const finish = function* (): Generator<Outgoing> {
    const bytes = [...large, ...small].reduce((sum, object) => sum + object.size, 0)
    total += bytes
    run.meter.plan(bytes, (total / seen) * (digests.size - seen))
    yield* large.toSorted((a, b) => b.size - a.size)
    yield* small
    large = []
    small = []
  }
  for (const digest of digests) {
    const object = run.failures.has(digest) ? undefined : takePresent(run.cache, digest, run.failures)
    if (object) (isLarge(object) ? large : small).push(object)
    if (++seen % WINDOW === 0 || seen === digests.size) yield* finish()
  }
}

async function sendAlone(run: PushRun, found: Outgoing): Promise<number> {
  const object = takeSound(run.cache, found.digest, run.failures)
  if (object) await sendSingle(run, object)
  return object?.size ?? 0
}

async function sendRefused(run: PushRun, object: Outgoing): Promise<number> {
  run.meter.plan(object.size, 0)
  return sendAlone(run, object)
}

/** Resolves with the members that the server refused. */
async function sendPack(run: PushRun, planned: readonly Outgoing[]): Promise<Outgoing[]> {
  let members = planned
  while (members.length > 0) {
    const count = run.meter.body()
    const body = () => {
      count.restart()
      return packBody(members, (bytes) => count.add(bytes))
    }
    try {
      const answer = await run.api.sendPack(body, { session: run.session, signal: run.options.signal })
      return noteAnswer(run, members, answer)
    } catch (error) {
      count.restart()
      const changed = changedObject(error)
      if (changed === undefined) throw error
      noteUnsound(changed, true, run.failures)
      members = members.filter((member) => member.digest !== changed)
    }
  }
  return []
}

function noteAnswer(run: PushRun, members: readonly Outgoing[], answer: PackAnswer): Outgoing[] {
  const refused = new Set(answer.refused.map((refusal) => refusal.digest))
  for (const member of members) {
    if (refused.has(member.digest)) continue
    run.pushed++
    run.bytes += member.size
  }
  return members.filter((member) => refused.has(member.digest))
}
