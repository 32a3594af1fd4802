import { lstatSync } from 'node:fs'
import path from 'node:path'
import { type Digest, isLegacy, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { makeFolders } from '../io/make-folders.ts'
import { runCommand, type CommandOptions } from '../io/spawn.ts'
import { addOneToGitIgnore } from '../repo/git-ignore.ts'
import type { Report } from '../report/event.ts'
import type { Content, Workspace } from '../workspace/workspace.ts'
import { contentLike, currentParams, isCached, isLocal } from './observe.ts'
import { missingParams } from './params.ts'
import { findRun, runEntryOf, saveRun, withMade } from './run-cache.ts'
import { stageMd5 } from './stage-md5.ts'
import { linkKindOf, type Dep, type Out, type ParamsDep, type Recorded, type Stage } from './stage.ts'

/** What the parts of one run share. */
export interface Running {
  workspace: Workspace
  env: Readonly<Record<string, string | undefined>>
  signal: AbortSignal
  report: Report
  /** Gets what commands print, when several run at once. Without it they have the terminal's own streams. */
  onOutput?: CommandOptions['onOutput']
  /** Collects the root-relative files that changed and belong into Git. */
  touched: Set<string>
}

/**
 * The stage with its deps and params as they are now. Before anything is touched: a stage that cannot run keeps its outs.
 * @throws CairnError STAGE_FAILED when a dep or a tracked param is not there
 */
export async function recordInputs(workspace: Workspace, stage: Stage): Promise<Stage> {
  const deps: Dep[] = []
  for (const dep of stage.deps) deps.push(isLocal(dep) ? await recordDep(workspace, dep) : dep)
  return { ...stage, deps, params: stage.params.map((params) => recordParams(workspace, params)) }
}

async function recordDep(workspace: Workspace, dep: Dep): Promise<Dep> {
  const content = (await unchangedLegacy(workspace, dep)) ?? (await workspace.contentOf(dep.path, {}))
  if (!content) throw new CairnError('STAGE_FAILED', `dependency '${dep.path}' does not exist`)
  return { ...dep, recorded: recordedOf(content) }
}

/** What DVC 0.x to 2.x recorded stays as it is until the content is another. */
async function unchangedLegacy(workspace: Workspace, { path: location, recorded }: Dep | Out): Promise<Content | undefined> {
  if (!recorded || !isLegacy(recorded.digest)) return undefined
  const content = await contentLike(workspace, location, recorded)
  return content?.digest === recorded.digest ? content : undefined
}

function recordParams(workspace: Workspace, params: ParamsDep): ParamsDep {
  const values = currentParams(workspace, params)
  if (values === undefined) throw new CairnError('STAGE_FAILED', `dependency '${params.path}' does not exist`)
  const missing = missingParams(params, values)
  if (missing.length > 0)
    throw new CairnError('STAGE_FAILED', `Parameters '${missing.join(', ')}' are missing from '${params.path}'.`)
  return { ...params, recorded: Object.fromEntries(values) }
}

/** What a stage records of a content. */
export function recordedOf({ digest, size, nfiles, isexec }: Content): Recorded {
  return { digest, size, ...(nfiles !== undefined && isTree(digest) && { nfiles }), ...(isexec && { isexec }) }
}

/**
 * Takes the outs away, so that the command makes them afresh; what a `persist` out holds stays, as a copy of its own.
 * Bytes that are saved nowhere go into the cache first.
 */
export async function clearOuts(workspace: Workspace, stage: Stage): Promise<void> {
  for (const out of stage.outs) {
    if (!stands(workspace, out)) continue
    if (out.persist) await workspace.unprotect(out.path)
    else await clearOut(workspace, stage, out)
  }
}

async function clearOut(workspace: Workspace, stage: Stage, out: Out): Promise<void> {
  if (!(await isSaved(workspace, out)))
    await workspace.save(out.path, { kind: linkKindOf(stage, out), cache: true, relink: false })
  await workspace.remove(out.path, { force: true })
  // The folder was there, and the command may count on it.
  makeFolders(path.dirname(path.resolve(workspace.repo.root, out.path)))
}

/** True when what stands there can be had again: from the cache, or as the record of a file that Git keeps. */
async function isSaved(workspace: Workspace, out: Out): Promise<boolean> {
  const content = await contentLike(workspace, out.path, out.recorded)
  if (!content) return true
  return (!out.cache && content.digest === out.recorded?.digest) || isCached(workspace, content.digest, content)
}

const stands = (workspace: Workspace, out: Out): boolean =>
  lstatSync(path.resolve(workspace.repo.root, out.path), { throwIfNoEntry: false }) !== undefined

/**
 * Runs a stage's command: each line of a dvc.yaml's command in a shell of its own, as dvc
 * does; a 2019 one whole.
 * @throws CairnError STAGE_FAILED, or the reason of the abort
 */
export async function runStageCommand({ workspace, env, signal, onOutput }: Running, stage: Stage): Promise<void> {
  const cwd = path.join(workspace.repo.root, stage.wdir)
  const surroundings = { ...env, DVC_ROOT: workspace.repo.root, DVC_STAGE: stage.address }
  for (const line of commandLines(stage)) {
    signal.throwIfAborted()
    const ended = await runCommand(line, { cwd, env: surroundings, signal, onOutput })
    signal.throwIfAborted()
    if (ended.code === 0) continue
    const how = ended.signal ? `was killed by ${ended.signal}` : `exited with ${ended.code}`
    throw new CairnError('STAGE_FAILED', `failed to run: ${line}, ${how}`)
  }
}

/** The pieces that each get a shell. */
export function commandLines(stage: Stage): string[] {
  const { cmd, kind } = stage
  if (cmd === undefined) return []
  const lines = typeof cmd !== 'string' ? [...cmd] : kind === 'pipeline' ? cmd.split(/\r?\n/) : [cmd]
  return lines.filter((line) => line.trim() !== '')
}

/**
 * Takes up what the command made: outs into the cache and linked back, everything recorded. With `commit: false` the cache
 * is left alone. Does not write the stage's file.
 * @throws CairnError STAGE_FAILED when an out was not made
 */
export async function recordRun(running: Running, before: Stage, options: { commit: boolean }): Promise<Stage> {
  const { workspace, report } = running
  const after = await recordInputs(workspace, before)
  for (const [index, dep] of after.deps.entries()) {
    if (dep.recorded?.digest !== before.deps[index]?.recorded?.digest) {
      report({ type: 'warning', text: `dependency '${dep.path}' of '${before.address}' changed while its command ran` })
    }
  }
  const recorded = await recordOuts(running, after, options)
  if (options.commit) fileRun(workspace, recorded)
  return recorded
}

/** The stage with its outs as they stand in the workspace, saved into the cache unless `commit` is false. */
export async function recordOuts(
  { workspace, report, touched }: Running,
  stage: Stage,
  options: { commit: boolean; relink?: boolean },
): Promise<Stage> {
  const outs: Out[] = []
  for (const out of stage.outs) {
    if (!stands(workspace, out)) throw new CairnError('STAGE_FAILED', `output '${out.path}' does not exist`)
    const kind = linkKindOf(stage, out)
    const legacy = (await unchangedLegacy(workspace, out)) !== undefined
    const how = { kind, cache: out.cache && options.commit, relink: options.relink ?? true }
    const content = await workspace.save(out.path, { ...how, ...(legacy && { legacy, previous: out.recorded?.digest }) })
    if (content.size === 0 && content.nfiles === undefined) report({ type: 'warning', text: `'${out.path}' is empty.` })
    const ignoreFile = out.cache ? await addOneToGitIgnore(workspace.repo, out.path) : undefined
    if (ignoreFile !== undefined) touched.add(ignoreFile)
    if (ignoreFile !== undefined && stage.kind === 'legacy')
      report({ type: 'result', text: `Adding '${out.path}' to '${ignoreFile}'.` })
    outs.push({ ...out, recorded: recordedOf(content) })
  }
  return withOwnRecord({ ...stage, outs })
}

/** The command that dvc.lock records, or the checksum that a file which carries one must carry. */
function withOwnRecord(stage: Stage): Stage {
  if (stage.kind === 'pipeline') return stage.cmd === undefined ? stage : { ...stage, lockedCmd: stage.cmd }
  return stage.md5 === undefined && stage.kind !== 'legacy' ? stage : { ...stage, md5: stageMd5(stage) }
}

/** Files the run for the next time that the same command meets the same deps. */
function fileRun(workspace: Workspace, stage: Stage): void {
  const entry = runEntryOf(stage)
  if (!entry) return
  for (const out of stage.outs) {
    const digest = out.recorded?.digest
    if (out.cache || digest === undefined || workspace.cache.has(digest)) continue
    if (isTree(digest)) return
    workspace.cache.storeFile(digest, path.resolve(workspace.repo.root, out.path), 'copy')
  }
  saveRun(workspace.repo.cacheDir, entry)
}

/**
 * Gives a stage the outs of a former run on the same deps and params. `inputs` is the stage with these recorded.
 * undefined when there was no such run, or the cache no longer has all that it made and `fetch` does not bring it.
 */
export async function restoreRun(
  { workspace }: Running,
  inputs: Stage,
  fetch?: (stage: Stage) => Promise<unknown>,
): Promise<Stage | undefined> {
  const entry = runEntryOf(inputs)
  const made = entry && findRun(workspace.repo.cacheDir, entry)
  if (!made) return undefined
  const restored = withMade(inputs, made)
  const isThere = () => [...made.values()].every(({ digest }) => isCached(workspace, digest))
  if (!isThere()) await fetch?.(restored)
  if (!isThere()) return undefined
  if (!(await checkOutStage(workspace, restored))) return undefined
  return withOwnRecord(restored)
}

/** Puts a stage's recorded outs into the workspace; false when the cache proved not to have them. Unsaved bytes go into the cache first. */
export async function checkOutStage(workspace: Workspace, stage: Stage): Promise<boolean> {
  const wanted: Array<{ path: string; digest: Digest; kind: 'stage' | 'data'; isexec?: boolean }> = []
  for (const out of stage.outs) {
    if (!out.recorded) continue
    const { digest, isexec } = out.recorded
    if (stands(workspace, out) && !(await isSaved(workspace, out)))
      await workspace.save(out.path, { kind: linkKindOf(stage, out), cache: true, relink: false })
    wanted.push({ path: out.path, digest, kind: linkKindOf(stage, out), ...(isexec && { isexec }) })
  }
  const { failed } = await workspace.checkout(wanted, { force: true, relink: false, removeStale: false })
  return failed.length === 0
}
