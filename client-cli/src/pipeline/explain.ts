import { isTree, type Digest } from '@cairn/protocol/digest'
import type { TreeEntry } from '@cairn/protocol/tree'
import type { Workspace } from '../workspace/workspace.ts'
import type { Graph } from './graph.ts'
import { contentLike, listingOf, observe } from './observe.ts'
import { overlaps } from './stage-path.ts'
import { relevantChanges } from './stage-turn.ts'
import type { Recorded, Stage } from './stage.ts'
import { changesOf, decide, type Change, type Seen, type State, type Verdict } from './staleness.ts'

/** Files that are named of a folder that changed. */
const NAMED = 10

/** Which files of a folder are not as recorded, at most ten by name. Names are relative to the folder. */
export interface FileChanges {
  added: readonly string[]
  modified: readonly string[]
  deleted: readonly string[]
  total: number
}

export type Reason =
  | { kind: 'forced' | 'never run' | 'always' | 'checksum' }
  | { kind: 'command'; before: Stage['lockedCmd']; now: Stage['cmd'] }
  | { kind: 'dep' | 'out'; path: string; state: State; files?: FileChanges }
  | { kind: 'param'; file: string; key: string; state: State; before?: unknown; now?: unknown }
  /** It would run before, and may change what this one reads. */
  | { kind: 'upstream'; stage: Stage }

export interface Explained {
  stage: Stage
  /** `after`: only because of what runs before it, and not if that makes the same again. */
  verdict: Verdict | 'after'
  reasons: readonly Reason[]
}

export interface ExplainOptions {
  force?: boolean
  allowMissing?: boolean
}

/** Why a reproduction would do something about each stage of the plan, dependencies first. Changes nothing. */
export async function explainPlan(
  workspace: Workspace,
  { graph, plan }: { graph: Graph; plan: readonly Stage[] },
  options: ExplainOptions,
): Promise<Explained[]> {
  const moving = new Set<Stage>()
  const explained: Explained[] = []
  for (const stage of plan) {
    const upstream = graph.dependencies(stage).filter((before) => moving.has(before))
    const one = await explainStage(workspace, stage, upstream, options)
    if (one.verdict === 'run' || one.verdict === 'after') moving.add(stage)
    explained.push(one)
  }
  return explained
}

async function explainStage(
  workspace: Workspace,
  stage: Stage,
  upstream: readonly Stage[],
  options: ExplainOptions,
): Promise<Explained> {
  const seen = await observe(workspace, stage)
  const changes = relevantChanges(changesOf(stage, seen), options)
  // What a stage before it makes may be missing now: that is no reason of its own.
  const own = changes.filter((change) => !isMadeBy(change, upstream))
  const after = upstream.map((before): Reason => ({ kind: 'upstream', stage: before }))
  const forced: Reason[] = options.force ? [{ kind: 'forced' }] : []
  const reasons = isFirstRun(stage) ? [{ kind: 'never run' } as const] : await reasonsOf(workspace, stage, own, seen)
  const verdict = verdictOf(stage, own, seen, options)
  const waits = upstream.length > 0 && !stage.frozen && (verdict === 'fresh' || verdict === 'checkout')
  return { stage, verdict: waits ? 'after' : verdict, reasons: [...forced, ...reasons, ...after] }
}

function verdictOf(stage: Stage, changes: readonly Change[], seen: Seen, { force }: ExplainOptions): Verdict {
  if (force) return stage.cmd === undefined || stage.frozen ? 'commit' : 'run'
  return decide(stage, changes, seen)
}

const isFirstRun = (stage: Stage): boolean =>
  stage.kind === 'pipeline' && stage.cmd !== undefined && stage.lockedCmd === undefined

const isMadeBy = (change: Change, upstream: readonly Stage[]): boolean =>
  change.kind === 'dep' && upstream.some((before) => before.outs.some(({ path }) => overlaps(path, change.path)))

async function reasonsOf(workspace: Workspace, stage: Stage, changes: readonly Change[], seen: Seen): Promise<Reason[]> {
  const reasons: Reason[] = []
  for (const change of changes) reasons.push(await reasonOf(workspace, stage, change, seen))
  return reasons
}

async function reasonOf(workspace: Workspace, stage: Stage, change: Change, seen: Seen): Promise<Reason> {
  switch (change.kind) {
    case 'command':
      return { kind: 'command', before: stage.lockedCmd, now: stage.cmd }
    case 'param': {
      const recorded = stage.params.find(({ path }) => path === change.path)?.recorded ?? {}
      const { path: file, key, state } = change
      return { kind: 'param', file, key, state, before: recorded[key], now: seen.params.get(file)?.get(key) }
    }
    case 'dep':
    case 'out': {
      const entry = [...(change.kind === 'dep' ? stage.deps : stage.outs)].find(({ path }) => path === change.path)
      const files = change.state === 'modified' ? await filesChanged(workspace, change.path, entry?.recorded) : undefined
      return { ...change, ...(files && { files }) }
    }
    default:
      return { kind: change.kind }
  }
}

/** undefined when one side is no folder, or its recorded listing is not in the cache. */
async function filesChanged(
  workspace: Workspace,
  location: string,
  recorded: Recorded | undefined,
): Promise<FileChanges | undefined> {
  const before = recorded && isTree(recorded.digest) ? listingOf(workspace.cache, recorded.digest) : undefined
  const now = before && (await contentLike(workspace, location, recorded))?.entries
  return before && now && compareListings(byPath(before), byPath(now))
}

const byPath = (entries: readonly TreeEntry[]): Map<string, Digest> => new Map(entries.map((entry) => [entry.path, entry.digest]))

export function compareListings(before: ReadonlyMap<string, Digest>, now: ReadonlyMap<string, Digest>): FileChanges {
  const files = { added: [] as string[], modified: [] as string[], deleted: [] as string[] }
  let total = 0
  for (const name of [...new Set([...before.keys(), ...now.keys()])].toSorted()) {
    const [then, today] = [before.get(name), now.get(name)]
    if (then === today) continue
    total++
    if (total <= NAMED) files[then === undefined ? 'added' : today === undefined ? 'deleted' : 'modified'].push(name)
  }
  return { ...files, total }
}
