import type { Digest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { mapLimit } from '../io/limit.ts'
import { bodiesAtOnce } from './concurrency.ts'
import { createMeter } from './meter.ts'
import { withoutFailed } from './outgoing.ts'
import { sendObjects } from './push-objects.ts'
import type { CairnPush, PushRun } from './push-run.ts'
import { sendTree } from './push-tree.ts'
import type { LocalTree, PushResult } from './remote.ts'
import { describeWait } from './retry.ts'

/** Commits, and whole pushes, that are tried before giving up. Each try sends only what is still missing. */
const TRIES = 3

/**
 * Asks with the roots, sends the trees, then the files that the answers name, and commits. A session that the server lost
 * starts over: what was sent is kept there.
 */
export async function pushToCairn(push: CairnPush): Promise<Omit<PushResult, 'requests'>> {
  for (let tries = 1; ; tries++) {
    try {
      return await pushOnce(push)
    } catch (error) {
      if (!isCode(error, 'SESSION_UNKNOWN') || tries >= TRIES) throw error
    }
  }
}

async function pushOnce(push: CairnPush): Promise<Omit<PushResult, 'requests'>> {
  const { api, options } = push
  const roots = [...new Set([...push.trees.map((tree) => tree.digest), ...push.files])]
  if (roots.length === 0) return { pushed: 0, bytes: 0, failed: [] }
  const { session, missing } = await api.missing(roots, { intent: 'push', session: undefined, signal: options.signal })
  if (missing.size === 0) return { pushed: 0, bytes: 0, failed: [] }

  const jobs = options.jobs ?? api.limits.parallel
  const concurrency = bodiesAtOnce(api.limits, options.jobs)
  const run: PushRun = {
    ...push,
    session,
    failures: new Map(),
    jobs,
    concurrency,
    meter: createMeter(options.report, 'Pushing'),
    early: new Set(),
    waiting: new Map(),
    pushed: 0,
    bytes: 0,
  }
  const trees = [...new Map(push.trees.filter((tree) => missing.has(tree.digest)).map((tree) => [tree.digest, tree])).values()]
  const files = [...new Set(push.files)].filter((digest) => missing.has(digest))
  const forget = api.onWait((wait) => {
    if (wait.pushedBack) concurrency.pushedBack(performance.now())
    run.meter.wait(describeWait(wait))
  })
  try {
    const entries = await sendTrees(run, trees)
    await sendObjects(run, [...entries, files])
    await commit(run, trees, files)
  } finally {
    forget()
    run.meter.end()
  }
  return { pushed: run.pushed, bytes: run.bytes, failed: [...run.failures.values()] }
}

/** Resolves with the entries that the server lacks, by tree. */
const sendTrees = (run: PushRun, trees: readonly LocalTree[]): Promise<Array<Iterable<Digest>>> =>
  mapLimit(trees, run.jobs, (tree) => sendTree(run, tree))

async function commit(run: PushRun, trees: readonly LocalTree[], files: readonly Digest[]): Promise<void> {
  const { api, failures, session, options } = run
  for (let tries = 1; ; tries++) {
    const whole = withoutFailed(trees, failures)
    const roots = [...whole.map((tree) => tree.digest), ...files.filter((digest) => !failures.has(digest))]
    if (roots.length === 0) return
    try {
      await api.commit(roots, { session, signal: options.signal })
      return countTrees(run, whole)
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'TREE_INCOMPLETE' || tries >= TRIES) throw error
      await sendLost(run, whole, error.data?.['missing'])
    }
  }
}

/** A tree is there when it is committed: the server keeps one that waits for its entries to itself. */
function countTrees(run: PushRun, committed: readonly LocalTree[]): void {
  for (const { digest } of committed) {
    const size = run.waiting.get(digest)
    if (size === undefined) continue
    run.pushed++
    run.bytes += size
  }
}

/** What vanished from the server between the question and the commit. */
async function sendLost(run: PushRun, trees: readonly LocalTree[], named: unknown): Promise<void> {
  const lost = new Set(Array.isArray(named) ? (named as Digest[]) : [])
  run.early.clear()
  const entries = await sendTrees(
    run,
    trees.filter((tree) => lost.has(tree.digest)),
  )
  const roots = new Set(trees.map((tree) => tree.digest))
  await sendObjects(run, [...entries, [...lost].filter((digest) => !roots.has(digest))])
}
