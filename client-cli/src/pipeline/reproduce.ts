import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { withRepoLock } from '../repo/repo-lock.ts'
import type { Report } from '../report/event.ts'
import type { Graph } from './graph.ts'
import type { PathLocks } from './path-locks.ts'
import { runStageCommand, type Running } from './run-stage.ts'
import { createStageQueue } from './stage-queue.ts'
import { createStageTurn, type Due, type StageTurn, type TurnOptions } from './stage-turn.ts'
import { createVoices, type Voice, type Voices } from './stage-voices.ts'
import type { StageWords } from './stage-words.ts'
import type { Stage } from './stage.ts'

export interface ReproduceOptions extends TurnOptions {
  /** Run every stage, without the run cache. */
  force?: boolean
  /** Run everything that depends on a stage that ran. */
  forceDownstream?: boolean
  /**
   * What follows a failure. `stop`, the default: commands under way end and are recorded, nothing further starts. `go-on`: only
   * what depends on it is left out. `ignore`: as if it had not failed.
   */
  onFailure?: 'stop' | 'go-on' | 'ignore'
  /** How many commands run side by side, of stages that do not depend on each other. Default 1: on the terminal's own streams. */
  jobs?: number
}

export interface Reproduced {
  plan: readonly Stage[]
  /** Stages that ran, were restored or were committed again; in the plan's order, as `failed`. */
  changed: Stage[]
  failed: Stage[]
}

export interface Work {
  graph: Graph
  /** Dependencies first. */
  plan: readonly Stage[]
  locks: PathLocks
  /** The words, said to this report. */
  words: (report: Report) => StageWords
}

/**
 * Brings stages up to date, in the order of the plan, which is made with the repository locked; with `jobs` several at once,
 * each after what it depends on. Each stage's file is written right after its command has succeeded, so a later call goes on
 * where this one was stopped, however it was stopped. The repository is locked except while only commands run, from a moment
 * after their start; then the paths that they use are. Returns, or throws, when every command has ended.
 * @throws CairnError STAGE_FAILED naming the stage; LOCKED when another run uses its paths
 */
export async function reproduce(running: Running, planWork: () => Promise<Work>, options: ReproduceOptions): Promise<Reproduced> {
  const { jobs = 1 } = options
  const commands = new Map<Due, Promise<Ended>>()
  const ended: Ended[] = []
  let walk: Walk | undefined
  const take = (one: Ended) => {
    commands.delete(one.due)
    ended.push(one)
  }
  async function goOn(): Promise<void> {
    walk ??= createWalk(running, await planWork(), options)
    do {
      for (let one = ended.shift(); one; one = ended.shift()) await walk.settle(one)
      while (commands.size < jobs) {
        const due = await walk.advance()
        if (!due) break
        commands.set(due, runDue(walk.runningOf(due.stage), due))
      }
      const one = await firstOf(commands.values(), SHORT_MS)
      if (one) take(one)
    } while (ended.length > 0)
    for (const due of commands.keys()) await due.enter()
  }
  try {
    do {
      await withPatience(running, ended.length > 0 || commands.size > 0, goOn)
      const one = await firstOf(commands.values())
      if (one) take(one)
    } while (ended.length > 0)
  } finally {
    for (const one of [...ended, ...(await Promise.all(commands.values()))]) await one.due.release()
    walk?.close()
  }
  return walk?.outcome() ?? { plan: [], changed: [], failed: [] }
}

/**
 * A command that ends within this time runs with the repository locked: unlocking and locking it again costs as much as the command.
 * Shorter than a cairn or dvc needs to start, so that one that the command runs finds the repository unlocked.
 */
const SHORT_MS = 40

/** The first of the commands that ends, within the milliseconds; undefined when none does, or there is none. */
async function firstOf(commands: Iterable<Promise<Ended>>, within?: number): Promise<Ended | undefined> {
  const all: Array<Promise<Ended | undefined>> = [...commands]
  if (all.length === 0) return undefined
  if (within === undefined) return Promise.race(all)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), within)
  })
  try {
    return await Promise.race([...all, late])
  } finally {
    clearTimeout(timer)
  }
}

interface Ended {
  due: Due
  failure?: { error: unknown }
}

/** Never rejects. */
async function runDue(running: Running, due: Due): Promise<Ended> {
  try {
    await runStageCommand(running, due.inputs)
    return { due }
  } catch (error) {
    return { due, failure: { error } }
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
  /** Goes on until a command is due; undefined when none is before one under way has ended. With the repository locked. */
  advance(): Promise<Due | undefined>
  /** With the repository locked. */
  settle(ended: Ended): Promise<void>
  /** With what the stage's command needs. */
  runningOf(stage: Stage): Running
  close(): void
  /** Throws what stopped the walk. */
  outcome(): Reproduced
}

/** One stage's visit: its turn, with a voice of its own. */
interface Visit {
  turn: StageTurn
  voice: Voice
  words: StageWords
  running: Running
}

function createWalk(running: Running, work: Work, options: ReproduceOptions): Walk {
  const { graph, plan } = work
  const queue = createStageQueue(graph, plan)
  const voices = voicesOf(running)
  const visits = new Map<Stage, Visit>()
  const changed = new Set<Stage>()
  const failed = new Set<Stage>()
  /** Stages that run because of what happened, or with `dry` would have happened, before them. */
  const forced = new Set<Stage>()
  let stopped: { error: unknown } | undefined

  function finish(stage: Stage, outcome: 'changed' | 'fresh'): void {
    queue.finish(stage)
    visits.get(stage)?.voice.close(outcome)
    if (outcome === 'fresh') return
    changed.add(stage)
    if (options.forceDownstream || options.dry) for (const after of graph.dependents(stage)) forced.add(after)
  }

  function fail(stage: Stage, { words, running: { report }, voice }: Visit, failure: unknown): void {
    if (running.signal.aborted || !(failure instanceof CairnError)) throw failure
    const { onFailure = 'stop' } = options
    if (onFailure === 'stop') {
      stopped ??= { error: words.failure(stage, failure) }
      queue.drop(stage)
      queue.stop()
    } else if (onFailure === 'ignore') {
      report({ type: 'warning', text: `${failure.message} (ignored)` })
      queue.finish(stage)
    } else {
      failed.add(stage)
      report({ type: 'warning', text: failure.message })
      const lost = queue.drop(stage)
      if (lost.length > 0) report({ type: 'warning', text: `${listStages(lost)} will be skipped due to this failure` })
    }
    voice.close('failed')
  }

  async function attempt<T>(stage: Stage, visit: Visit, take: () => Promise<T>): Promise<T | undefined> {
    try {
      return await take()
    } catch (error) {
      fail(stage, visit, error)
      return undefined
    }
  }

  return {
    async advance() {
      for (let stage = queue.take(); stage; stage = queue.take()) {
        running.signal.throwIfAborted()
        const next = stage
        const visit = openVisit(running, work, voices, options)
        visits.set(next, visit)
        const force = options.force === true || forced.has(next)
        const done = await attempt(next, visit, () => visit.turn.visit(next, { force }))
        if (done?.type === 'due') return done.due
        if (done) finish(next, done.type === 'changed' ? 'changed' : 'fresh')
      }
      return undefined
    },
    async settle({ due, failure }) {
      const visit = visits.get(due.stage)
      if (!visit) return
      if (failure) {
        await due.release()
        return fail(due.stage, visit, failure.error)
      }
      const settled = await attempt(due.stage, visit, async () => {
        await visit.turn.settle(due)
        return true
      })
      if (settled) finish(due.stage, 'changed')
    },
    runningOf: (stage) => visits.get(stage)?.running ?? running,
    close: () => voices.closeAll(),
    outcome() {
      if (stopped) throw stopped.error
      const inOrder = (stages: ReadonlySet<Stage>) => plan.filter((stage) => stages.has(stage))
      return { plan, changed: inOrder(changed), failed: inOrder(failed) }
    },
  }
}

function voicesOf({ workspace, report }: Running): Voices {
  return createVoices(report, (number) => path.join(workspace.repo.tmpDir, `cairn-output-${process.pid}-${number}`))
}

function openVisit(running: Running, { graph, plan, locks, words }: Work, voices: Voices, options: ReproduceOptions): Visit {
  const voice = voices.open()
  const { report } = voice
  const own: Running = {
    ...running,
    report,
    ...((options.jobs ?? 1) > 1 && { onOutput: (stream, text) => report({ type: 'command-output', stream, text }) }),
  }
  const said = words(report)
  const later = (stage: Stage) => laterNames(plan, stage)
  return { voice, words: said, running: own, turn: createStageTurn(own, { graph, locks, words: said, later }, options) }
}

/** Stages that run for the first time, and whose place in the lock file is after this one's, however soon they end. */
function laterNames(plan: readonly Stage[], stage: Stage): Set<string> {
  const place = plan.findIndex((one) => one.address === stage.address)
  const after = plan.slice(place + 1).filter((one) => one.file === stage.file && one.lockedCmd === undefined)
  return new Set(after.flatMap(({ name }) => name ?? []))
}

/** `Stage 'a'`, `Stages 'a', 'b' and 'c'`. */
export function listStages(stages: readonly Stage[]): string {
  const names = stages.map((stage) => `'${stage.address}'`)
  const last = names.pop() ?? ''
  return names.length === 0 ? `Stage ${last}` : `Stages ${names.join(', ')} and ${last}`
}
