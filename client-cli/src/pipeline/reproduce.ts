import { CairnError, isCode } from '@cairn/protocol/error'
import { withRepoLock } from '../repo/repo-lock.ts'
import { downstreamOf, type Graph } from './graph.ts'
import type { PathLocks } from './path-locks.ts'
import { runStageCommand, type Running } from './run-stage.ts'
import { createStageTurn, type Due, type StageTurn, type TurnOptions } from './stage-turn.ts'
import type { StageWords } from './stage-words.ts'
import type { Stage } from './stage.ts'

export interface ReproduceOptions extends TurnOptions {
  /** Run every stage, without the run cache. */
  force?: boolean
  /** Run everything that depends on a stage that ran. */
  forceDownstream?: boolean
  /** After a failure go on with what does not depend on it. */
  keepGoing?: boolean
}

export interface Reproduced {
  plan: readonly Stage[]
  /** Stages that ran, were restored or were committed again. */
  changed: Stage[]
  failed: Stage[]
}

export interface Work {
  graph: Graph
  /** Dependencies first. */
  plan: readonly Stage[]
  locks: PathLocks
  words: StageWords
}

/**
 * Brings stages up to date, in the order of the plan, which is made with the repository locked. Each stage's file is written right after its command has succeeded, so a
 * later call goes on where this one was stopped, however it was stopped. The repository is locked except while a command
 * runs; then the paths that the command uses are.
 * @throws CairnError STAGE_FAILED naming the stage; LOCKED when another run uses its paths
 */
export async function reproduce(running: Running, planWork: () => Promise<Work>, options: ReproduceOptions): Promise<Reproduced> {
  let walk: Walk | undefined
  let due: Due | undefined
  try {
    do {
      const finished = due
      due = undefined
      due = await withPatience(running, finished !== undefined, async () => {
        walk ??= createWalk(running, await planWork(), options)
        if (finished) await walk.settle(finished)
        return walk.advance()
      })
      if (walk && due) due = await runDue(running, walk, due)
    } while (due || walk?.hasMore())
  } finally {
    await due?.release()
  }
  return walk?.outcome() ?? { plan: [], changed: [], failed: [] }
}

/** undefined when the command failed and the walk may go on without it. */
async function runDue(running: Running, walk: Walk, due: Due): Promise<Due | undefined> {
  try {
    await runStageCommand(running, due.inputs)
    return due
  } catch (error) {
    await due.release()
    walk.fail(due.stage, error)
    return undefined
  }
}

/** What a long command made is not thrown away because somebody else holds the repository just now: with `patient` it waits. */
async function withPatience<T>({ workspace, signal, report }: Running, patient: boolean, work: () => Promise<T>): Promise<T> {
  for (;;) {
    let entered = false
    try {
      return await withRepoLock(workspace.repo, signal, () => {
        entered = true
        return work()
      })
    } catch (error) {
      if (entered || !patient || !isCode(error, 'LOCKED')) throw error
      report({ type: 'note', text: 'waiting for another process to leave the repository' })
    }
  }
}

interface Walk {
  /** Goes on until a command is due; undefined at the end. With the repository locked. */
  advance(): Promise<Due | undefined>
  /** With the repository locked. */
  settle(due: Due): Promise<void>
  /** Throws, or with `keepGoing` notes what can no longer be reached. */
  fail(stage: Stage, failure: unknown): void
  hasMore(): boolean
  outcome(): Reproduced
}

function createWalk(running: Running, { graph, plan, locks, words }: Work, options: ReproduceOptions): Walk {
  const { report, signal } = running
  const turn: StageTurn = createStageTurn(running, { locks, words }, options)
  const queue = [...plan]
  const outcome: Reproduced = { plan, changed: [], failed: [] }
  /** Stages that run because of what happened, or with `dry` would have happened, before them. */
  const forced = new Set<Stage>()
  let blank = false

  function noteChanged(stage: Stage): void {
    outcome.changed.push(stage)
    blank = true
    if (options.forceDownstream || options.dry) for (const after of graph.dependents(stage)) forced.add(after)
  }

  async function visit(stage: Stage): Promise<Due | undefined> {
    if (blank) report({ type: 'result', text: '' })
    blank = false
    const done = await turn.visit(stage, { force: options.force === true || forced.has(stage) })
    if (done.type === 'due') return done.due
    if (done.type === 'changed') noteChanged(stage)
    return undefined
  }

  function fail(stage: Stage, failure: unknown): void {
    if (signal.aborted || !(failure instanceof CairnError)) throw failure
    if (!options.keepGoing) throw words.failure(stage, failure)
    outcome.failed.push(stage)
    report({ type: 'warning', text: failure.message })
    const after = downstreamOf(graph, [stage])
    const lost = queue.filter((other) => after.has(other))
    queue.splice(0, queue.length, ...queue.filter((other) => !after.has(other)))
    if (lost.length > 0) report({ type: 'warning', text: `${listStages(lost)} will be skipped due to this failure` })
  }

  async function attempt<T>(stage: Stage, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      fail(stage, error)
      return undefined
    }
  }

  return {
    async advance() {
      for (let stage = queue.shift(); stage; stage = queue.shift()) {
        signal.throwIfAborted()
        const next = stage
        const due = await attempt(next, () => visit(next))
        if (due) return due
      }
      return undefined
    },
    settle: (due) =>
      attempt(due.stage, async () => {
        await turn.settle(due)
        noteChanged(due.stage)
      }),
    fail,
    hasMore: () => queue.length > 0,
    outcome: () => outcome,
  }
}

/** `Stage 'a'`, `Stages 'a', 'b' and 'c'`. */
export function listStages(stages: readonly Stage[]): string {
  const names = stages.map((stage) => `'${stage.address}'`)
  const last = names.pop() ?? ''
  return names.length === 0 ? `Stage ${last}` : `Stages ${names.join(', ')} and ${last}`
}
