import { existsSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Graph } from './graph.ts'
import { isCached, isLocal, observe } from './observe.ts'
import type { PathLocks } from './path-locks.ts'
import { checkOutStage, clearOuts, recordInputs, recordOuts, recordRun, restoreRun, type Running } from './run-stage.ts'
import { writeStage } from './save-stage.ts'
import { overlaps } from './stage-path.ts'
import type { StageWords } from './stage-words.ts'
import type { Out, Stage } from './stage.ts'
import { changesOf, decide, type Change, type Seen, type Verdict } from './staleness.ts'
import { pathsOf } from './used-paths.ts'

export interface TurnOptions {
  /** Only tell what would be done. */
  dry?: boolean
  /** false: outs are recorded but not saved into the cache. */
  commit?: boolean
  /** What is merely absent does not count as changed. */
  allowMissing?: boolean
  /** false: a former run on the same deps is not looked for. */
  runCache?: boolean
  /** Brings the recorded content of outs into the cache from where it was pushed to; false when not all of it came. */
  pull?: ((stage: Stage, outs: readonly Out[]) => Promise<boolean>) | undefined
  /** Asked before anything is done about a stage that changed. */
  confirm?: ((stage: Stage) => Promise<boolean>) | undefined
}

/** A stage whose command is due: its deps are recorded, its outs out of the way, and nobody else uses its paths. */
export interface Due {
  stage: Stage
  inputs: Stage
  /** Enters its paths in the path locks, before the repository is unlocked while its command runs. */
  enter: () => Promise<void>
  /** Takes them out again, if they are in. */
  release: () => Promise<void>
}

/** `placed`: its outs were only put back, their content is what it was. `changed`: it has a new record. */
export type Outcome = { type: 'fresh' | 'placed' | 'changed' } | { type: 'due'; due: Due }

/** One stage's turn in a reproduction. Everything here is called with the repository locked. */
export interface StageTurn {
  /** Brings the stage up to date as far as that takes no command. */
  visit(stage: Stage, options: { force: boolean }): Promise<Outcome>
  /** Takes up what the command of a due stage made. */
  settle(due: Due): Promise<void>
}

export function createStageTurn(
  running: Running,
  parts: { locks: PathLocks; words: StageWords; graph: Graph; later?: (stage: Stage) => ReadonlySet<string> },
  options: TurnOptions,
): StageTurn {
  const { workspace } = running
  const { locks, words, graph } = parts
  const { pull } = options
  const commit = options.commit ?? true
  const write = (stage: Stage) => writeAndTell(running, words, stage, parts.later?.(stage))

  async function commitOuts(stage: Stage, seen: Seen): Promise<Outcome> {
    words.committing(stage)
    refuseMissingSources(stage, seen)
    write(await recordOuts(running, stage, { commit }))
    return { type: 'changed' }
  }

  async function runOrRestore(stage: Stage, force: boolean): Promise<Outcome> {
    if (pull) await bringDeps(running, graph, stage, pull)
    const inputs = await recordInputs(workspace, stage)
    const fetch = pull && ((restored: Stage) => pull(restored, restored.outs.filter(isLacking(running))))
    const restored = force || !commit || options.runCache === false ? undefined : await restoreRun(running, inputs, fetch)
    if (restored) {
      words.cached(stage)
      write(restored)
      return { type: 'changed' }
    }
    refuseTrackedOuts(running, stage)
    return { type: 'due', due: await makeDue(stage, inputs) }
  }

  async function makeDue(stage: Stage, inputs: Stage): Promise<Due> {
    let leave: (() => Promise<void>) | undefined
    await clearOuts(workspace, stage)
    words.running(stage)
    return {
      stage,
      inputs,
      async enter() {
        leave ??= await locks.acquire(pathsOf(stage))
      },
      async release() {
        const left = leave?.()
        leave = undefined
        await left
      },
    }
  }

  async function look(stage: Stage, force: boolean): Promise<Looked> {
    const seen = await observe(workspace, stage)
    const changes = relevantChanges(changesOf(stage, seen), options)
    return { seen, changes, verdict: force ? forcedVerdict(stage) : decide(stage, changes, seen) }
  }

  /** Nothing but its outs is missing: then what was recorded for them is wanted, and no run. */
  async function bringOuts(stage: Stage, before: Looked): Promise<Looked> {
    if (!pull || before.verdict === 'fresh' || !before.changes.every(isLostOut)) return before
    words.pulling(stage)
    const outs = lackingOuts(running, stage)
    const came = outs.length === 0 || (await pull(stage, outs))
    if (!came) words.notPulled(stage)
    return { ...(await look(stage, false)), pulled: came }
  }

  return {
    async visit(stage, { force }) {
      const paths = pathsOf(stage)
      if (stage.frozen && stage.kind !== 'data') words.frozen(stage)
      // Looking at an out that somebody else reads disturbs nobody; only if it must be made anew is he in the way.
      await locks.refuseBusy({ reads: [...paths.reads, ...paths.writes], writes: [] })
      const first = await look(stage, force)
      const { seen, changes, verdict, pulled } = force || options.dry ? first : await bringOuts(stage, first)
      if (verdict === 'fresh') {
        if (!pulled) words.fresh(stage)
        return { type: 'fresh' }
      }
      // That outs are put back is told by itself, and changes nothing.
      if (verdict !== 'checkout') words.reasons(stage, changes)
      if (options.dry) return foretell(words, stage, verdict)
      if (options.confirm && !(await options.confirm(stage)))
        throw new CairnError('STAGE_FAILED', 'reproduction aborted by the user')
      await locks.refuseBusy(paths)
      if (verdict === 'commit') return commitOuts(stage, seen)
      if (verdict === 'checkout' && (await checkOutStage(workspace, stage))) {
        if (!pulled) words.cached(stage)
        return { type: 'placed' }
      }
      return runOrRestore(stage, force)
    },
    async settle({ inputs, release }) {
      try {
        write(await recordRun(running, inputs, { commit }))
      } finally {
        await release()
      }
    },
  }
}

function foretell(words: StageWords, stage: Stage, verdict: Exclude<Verdict, 'fresh'>): Outcome {
  if (verdict === 'run') words.running(stage)
  else if (verdict === 'commit') words.committing(stage)
  else words.cached(stage)
  return { type: verdict === 'checkout' ? 'placed' : 'changed' }
}

const forcedVerdict = (stage: Stage): Exclude<Verdict, 'fresh'> => (stage.cmd === undefined || stage.frozen ? 'commit' : 'run')

interface Looked {
  seen: Seen
  changes: readonly Change[]
  verdict: Verdict
  /** Its outs came from a remote, which has been told. */
  pulled?: boolean
}

const isLostOut = (change: Change): boolean =>
  change.kind === 'out' && (change.state === 'deleted' || change.state === 'not in cache')

const lackingOuts = (running: Running, stage: Stage): Out[] => stage.outs.filter((out) => out.cache && isLacking(running)(out))

const isLacking =
  ({ workspace }: Running) =>
  ({ recorded }: Out): boolean =>
    recorded !== undefined && !isCached(workspace, recorded.digest)

/** Puts the deps that are not there into the workspace, as far as other stages recorded them. */
async function bringDeps(running: Running, graph: Graph, stage: Stage, pull: NonNullable<TurnOptions['pull']>): Promise<void> {
  const { workspace } = running
  const gone = stage.deps.filter((dep) => isLocal(dep) && !existsSync(path.resolve(workspace.repo.root, dep.path)))
  for (const maker of gone.length > 0 ? graph.dependencies(stage) : []) {
    const outs = maker.outs.filter((out) => gone.some((dep) => overlaps(dep.path, out.path)))
    if (outs.length === 0) continue
    const wanted = { ...maker, outs }
    const lacking = lackingOuts(running, wanted)
    if (lacking.length === 0 || (await pull(maker, lacking))) await checkOutStage(workspace, wanted)
  }
}

/** The changes that count. */
export function relevantChanges(changes: readonly Change[], { allowMissing }: TurnOptions): readonly Change[] {
  if (!allowMissing) return changes
  return changes.filter(
    (change) =>
      (change.kind !== 'dep' && change.kind !== 'out') || (change.state !== 'deleted' && change.state !== 'not in cache'),
  )
}

function refuseMissingSources(stage: Stage, seen: Seen): void {
  const gone = stage.outs.filter((out) => seen.outs.get(out.path)?.digest === undefined).map((out) => out.path)
  if (gone.length === 0) return
  throw new CairnError('STAGE_FAILED', `missing data '${gone.length > 1 ? 'sources' : 'source'}': ${gone.join(', ')}`, {
    hint: "'cairn pull' brings what a remote has of it.",
  })
}

/** Saving such an out would take from Git what Git keeps. @throws CairnError STAGE_FAILED */
export function refuseTrackedOuts({ workspace: { repo } }: Running, stage: Stage): void {
  for (const out of stage.outs) {
    if (!out.cache || !repo.git?.isTracked(path.resolve(repo.root, out.path))) continue
    throw new CairnError('STAGE_FAILED', `output '${out.path}' is already tracked by SCM (e.g. Git).`, {
      hint: `To stop tracking it in Git: git rm -r --cached '${out.path}' && git commit -m "stop tracking ${out.path}"`,
    })
  }
}

/** Writes the stage's file, at once and whole: from here on the stage counts as done. */
export function writeAndTell(
  { workspace: { repo }, touched }: Running,
  words: StageWords,
  stage: Stage,
  later?: ReadonlySet<string>,
): void {
  const lockFile = path.posix.join(path.posix.dirname(stage.file), 'dvc.lock')
  const isNew = stage.kind === 'pipeline' && !existsSync(path.join(repo.root, lockFile))
  const written = writeStage(repo, stage, later)
  for (const file of written) touched.add(file)
  words.written(stage, { lockFile: stage.kind === 'pipeline' && written.includes(lockFile) ? lockFile : undefined, isNew })
}
