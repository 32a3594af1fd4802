import type { Digest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { statOrNone } from '../cache/file-stat.ts'
import { packBody } from './bodies.ts'
import type { Outgoing } from './outgoing.ts'
import { isLarge } from './pack-plan.ts'
import type { PushRun } from './push-run.ts'

/** More is worth waiting for the server to say what it lacks. */
const MOST_BYTES = 1 << 20
const MOST_FILES = 1024

/**
 * Sends the few files that a tree adds to the one before, beside the tree itself: the server lacks them, most likely, and its
 * answer need not be awaited. Whatever fails here is left to those who have the answer.
 */
export async function sendEarly(run: PushRun, files: readonly Digest[]): Promise<void> {
  const members = fewMembers(run, files)
  if (members.length === 0) return
  const bytes = members.reduce((sum, member) => sum + member.size, 0)
  const count = run.meter.body()
  const body = () => {
    count.restart()
    return packBody(members, (sent) => count.add(sent))
  }
  try {
    const answer = await run.api.sendPack(body, { session: run.session, signal: run.options.signal })
    const refused = new Set(answer.refused.map((refusal) => refusal.digest))
    for (const { digest } of members) if (!refused.has(digest)) run.early.add(digest)
    run.pushed += answer.stored
    run.bytes += Math.round((bytes * answer.stored) / members.length)
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    count.restart()
  }
}

/** Empty where they are many, for two bodies at once may not be wanted, or there is nothing to gain. */
function fewMembers(run: PushRun, files: readonly Digest[]): Outgoing[] {
  if (files.length > MOST_FILES || run.jobs < 2) return []
  const members: Outgoing[] = []
  let left = Math.min(MOST_BYTES, run.api.limits.packBytes)
  for (const digest of new Set(files)) {
    if (run.early.has(digest)) continue
    const path = run.cache.pathOf(digest)
    const stat = statOrNone(path)
    if (!stat?.isFile() || isLarge(stat)) continue
    if ((left -= stat.size) < 0) return []
    members.push({ digest, path, size: stat.size })
  }
  return members.length <= run.api.limits.packMembers ? members : []
}
