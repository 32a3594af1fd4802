import { type Digest, isLegacy, isTree, makeDigest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import { rmSync } from 'node:fs'
import path from 'node:path'
import { lstatOrNone } from '../cache/file-stat.ts'
import { absolutePath, type Desk } from './desk.ts'
import { carryOut, removeEmptied } from './carry-out.ts'
import { type OutputPlan, planOutput } from './plan-checkout.ts'
import type { CheckoutOptions, CheckoutResult, FileCounts, Wanted } from './workspace.ts'

/** See `Workspace.checkout`. Plans everything first, so that a refusal leaves all as it was. */
export async function checkout(desk: Desk, wanted: readonly Wanted[], options: CheckoutOptions): Promise<CheckoutResult> {
  const stale = options.removeStale ? await planStale(desk, [...wanted.map((each) => each.path), ...(options.keep ?? [])]) : []
  const plans: OutputPlan[] = []
  for (const each of wanted) plans.push(await planOutput(desk, each))
  const [possible, failed] = [plans.filter((plan) => plan.missing.length === 0), plans.filter((plan) => plan.missing.length > 0)]
  if (!options.force) refuseUnsaved(possible)
  const total = possible.reduce((sum, plan) => sum + plan.writes.length, 0)
  let done = 0
  const onFile = () => {
    done++
    if (total > 5_000 && done % 500 === 0) desk.report({ type: 'progress', task: 'Checking out', done, total, unit: 'files' })
  }
  try {
    for (const plan of [...stale, ...possible])
      await carryOut(desk, plan, { relink: options.relink, early: options.early, onFile })
  } finally {
    if (total > 5_000) desk.report({ type: 'progress-end', task: 'Checking out' })
  }
  return {
    ...listChanges([...stale, ...possible]),
    files: countFiles(stale, possible),
    failed: failed.map(({ wanted: { path: file }, missing }) => ({ path: file, missing })),
  }
}

/** Outputs that Cairn placed, that are outputs no more, and that still hold what Cairn placed. */
async function planStale(desk: Desk, paths: readonly string[]): Promise<OutputPlan[]> {
  const outputs = new Set(paths)
  const plans: OutputPlan[] = []
  for (const [file, digest] of [...desk.links.entries()]) {
    if (outputs.has(file)) continue
    const plan = desk.repo.git?.isTracked(absolutePath(desk, file)) ? undefined : await planRemoval(desk, file, digest)
    if (plan) plans.push(withoutOutputs(plan, outputs))
    else desk.links.delete(file)
  }
  return plans
}

/** undefined unless the path holds exactly the digest, and all of it is saved. */
async function planRemoval(desk: Desk, file: string, digest: Digest): Promise<OutputPlan | undefined> {
  try {
    const plan = await planOutput(desk, { path: file, digest: undefined, kind: 'data', legacy: isLegacy(digest) })
    return plan.current?.digest === digest && plan.unsaved.length === 0 ? plan : undefined
  } catch (error) {
    // Something else stands there or above it by now, and that is not ours.
    if (isCode(error, 'FAILED', 'COMMAND_FAILED')) return undefined
    throw error
  }
}

/** See `Workspace.remove`. */
export async function removeOutput(
  desk: Desk,
  file: string,
  options: { force: boolean; legacy?: boolean | undefined },
): Promise<boolean> {
  const absolute = absolutePath(desk, file)
  if (!lstatOrNone(absolute)) return false
  desk.links.delete(file)
  if (options.force) {
    rmSync(absolute, { recursive: true, force: true })
    removeEmptied(path.dirname(absolute), desk.repo.root)
    return true
  }
  const plan = await planOutput(desk, { path: file, digest: undefined, kind: 'data', legacy: options.legacy })
  refuseUnsaved([plan])
  await carryOut(desk, plan, { relink: false, onFile: () => undefined })
  return true
}

/** Another branch may track single files of what was a tracked folder here. */
function withoutOutputs(plan: OutputPlan, outputs: ReadonlySet<string>): OutputPlan {
  const deletes = plan.deletes.filter((file) => {
    for (let at = path.posix.join(plan.wanted.path, file); at !== '.'; at = path.posix.dirname(at))
      if (outputs.has(at)) return false
    return true
  })
  return { ...plan, deletes }
}

function refuseUnsaved(plans: readonly OutputPlan[]): void {
  const unsaved = plans.flatMap((plan) => plan.unsaved)
  if (unsaved.length > 0) throw unsavedError(unsaved)
}

export function unsavedError(files: readonly string[]): CairnError {
  const list = files.toSorted(compareCodePoints).join('\n')
  return new CairnError(
    'UNSAVED',
    `Can't remove the following unsaved files without confirmation. Use \`--force\` to force.\n${list}`,
  )
}

function listChanges(plans: readonly OutputPlan[]): Pick<CheckoutResult, 'added' | 'modified' | 'deleted'> {
  const of = (change: OutputPlan['change']) => {
    const paths = plans
      .filter((plan) => plan.change === change)
      .map((plan) => plan.wanted.path + (standsAsFolder(plan) ? '/' : ''))
    return [...new Set(paths)].sort((a, b) => Number(b.endsWith('/')) - Number(a.endsWith('/')) || compareCodePoints(a, b))
  }
  return { added: of('added'), modified: of('modified'), deleted: of('deleted') }
}

function countFiles(stale: readonly OutputPlan[], plans: readonly OutputPlan[]): FileCounts {
  const sum = (of: keyof FileCounts) => plans.reduce((count, { files }) => count + files[of], 0)
  const gone = stale.filter((plan) => plan.change === 'deleted').length
  return { added: sum('added'), modified: sum('modified'), deleted: gone + sum('deleted') }
}

const standsAsFolder = ({ wanted, current }: OutputPlan): boolean =>
  isTree(wanted.digest ?? current?.digest ?? makeDigest('0'.repeat(32)))
