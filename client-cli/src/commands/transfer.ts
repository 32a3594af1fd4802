import { CairnError } from '@cairn/protocol/error'
import type { Context, Options, OptionSpec } from '../command.ts'
import { type ObjectCache, openObjectCache } from '../cache/object-cache.ts'
import { openRunFiles, type RunFiles } from '../cache/run-files.ts'
import { expandGlob } from '../io/glob.ts'
import { openRemote } from '../remote/open.ts'
import type { Remote, TransferOptions } from '../remote/remote.ts'
import type { Repo } from '../repo/repo.ts'
import { cloudStatus } from '../transfer/cloud-status.ts'
import { createEarlier } from '../transfer/earlier.ts'
import type { Output } from '../transfer/expand.ts'
import { createHistory } from './history.ts'
import { madeBy } from '../pipeline/run-cache.ts'
import type { Stage } from '../pipeline/stage.ts'
import { pushRuns } from '../transfer/runs.ts'
import type { OutputType, Selection } from './select-outputs.ts'
import { describeLeft, type Left } from '../transfer/outcome.ts'
import { describePlan, planTransfer } from '../transfer/plan.ts'

export const RUN_CACHE_OPTIONS: readonly OptionSpec[] = [
  { flags: '--run-cache', summary: 'Also the run cache: what stages made of which deps.' },
  { flags: '--no-run-cache', summary: 'Not the run cache; so it is without the option.', hidden: true },
]

export const TRANSFER_OPTIONS: readonly OptionSpec[] = [
  { flags: '-r, --remote <name>', summary: 'The remote to use instead of the default one.' },
  { flags: '-j, --jobs <n>', summary: 'How many bodies at a time.' },
  { flags: '-a, --all-branches', summary: 'Of every branch too.' },
  { flags: '-T, --all-tags', summary: 'Of every tag too.' },
  { flags: '-A, --all-commits', summary: 'Of every commit too.' },
  { flags: '-d, --with-deps', summary: 'Also what the targets depend on.' },
  { flags: '-R, --recursive', summary: 'A folder stands for every stage below it.' },
  ...RUN_CACHE_OPTIONS,
]

export const DRY_RUN: OptionSpec = { flags: '--dry-run', summary: 'Only print what would be moved.' }

export const GLOB: OptionSpec = { flags: '--glob', summary: 'Targets are patterns: *, ?, [a-z], and ** for any folders.' }

/** @throws CairnError USAGE, COMMAND_FAILED */
export function selectionOf(context: Context, targets: readonly string[], options: Options, pushable: boolean): Selection {
  return {
    targets: options['glob'] === true ? matching(context.cwd, targets) : targets,
    cwd: context.cwd,
    allBranches: options['allBranches'] === true,
    allTags: options['allTags'] === true,
    allCommits: options['allCommits'] === true,
    withDeps: options['withDeps'] === true,
    recursive: options['recursive'] === true,
    pushable,
    ...(options['maxSize'] !== undefined && { maxSize: maxSizeOf(options['maxSize']) }),
    ...(Array.isArray(options['type']) && { types: options['type'].map(typeOf) }),
  }
}

function matching(cwd: string, patterns: readonly string[]): string[] {
  const found = patterns.flatMap((pattern) => expandGlob(cwd, pattern))
  if (found.length > 0) return found
  const list = patterns.map((pattern) => `'${pattern}'`).join(', ')
  throw new CairnError('COMMAND_FAILED', `Glob [${list}] has no matches.`)
}

/** 0 is no bound, as in dvc. */
function maxSizeOf(given: unknown): number {
  const size = Number(given)
  if (Number.isInteger(size)) return size === 0 ? Infinity : size
  throw new CairnError('USAGE', `argument --max-size: invalid int value: '${String(given)}'`)
}

function typeOf(given: unknown): OutputType {
  if (given === 'metrics' || given === 'plots') return given
  throw new CairnError('USAGE', `argument --type: invalid choice: '${String(given)}' (choose from 'metrics', 'plots')`)
}

/** @throws CairnError USAGE */
export function transferOptions(context: Context, options: Options): TransferOptions {
  const { signal, report } = context
  const jobs = options['jobs']
  if (jobs === undefined) return { signal, report }
  const count = Number(jobs)
  if (!Number.isInteger(count) || count < 1)
    throw new CairnError('USAGE', `argument -j/--jobs: '${String(jobs)}' is not a number of 1 or more`)
  return { signal, report, jobs: Math.min(count, 256) }
}

/** What stood where these outputs stand now: read out of Git when it is asked for. */
export function earlierOf(
  repo: Repo,
  context: Context,
  cache: ObjectCache,
  outputs: readonly Output[],
): TransferOptions['earlier'] {
  return createEarlier({ outputs, cache, history: createHistory(repo, context.signal) })
}

export const chosenRemote = (options: Options): string | undefined => options['remote'] as string | undefined

/** An output whose entry names a remote goes there only; the others to the chosen or default one (`undefined`). */
export function byRemote(outputs: readonly Output[], chosen: string | undefined): Map<string | undefined, Output[]> {
  const groups = new Map<string | undefined, Output[]>()
  for (const output of outputs) {
    if (chosen !== undefined && output.remote !== undefined && output.remote !== chosen) continue
    const name = chosen ?? output.remote
    const group = groups.get(name)
    if (group) group.push(output)
    else groups.set(name, [output])
  }
  return groups
}

export const openCache = (repo: Repo): ObjectCache =>
  openObjectCache(repo.cacheDir, { tmpDir: repo.tmpDir, shared: repo.config.get('cache', 'shared') === 'group' })

export async function withRemote<T>(
  repo: Repo,
  name: string | undefined,
  context: Context,
  cache: ObjectCache,
  work: (remote: Remote) => Promise<T>,
): Promise<T> {
  const remote = await openRemote(repo, name, context, cache)
  try {
    return await work(remote)
  } finally {
    await remote.close()
  }
}

type MoveRuns = (remote: Remote, local: RunFiles, options: TransferOptions) => Promise<number | undefined>

/** The run cache and what runs of the stages of now made. */
export const sendRuns =
  (cache: ObjectCache, load: () => Promise<readonly Stage[]>): MoveRuns =>
  async (remote, local, options) => {
    const stages = await load()
    return pushRuns(remote, local, { cache, madeBy: (entry) => madeBy(entry, stages) }, options)
  }

/**
 * The run cache to or from the chosen or default remote, when it was asked for; how many entries went or came. A remote that
 * can have none is told about, as is that there is none.
 */
export async function moveRuns(
  repo: Repo,
  context: Context,
  cache: ObjectCache,
  request: { options: Options; move: MoveRuns },
): Promise<number> {
  const { options, move } = request
  if (options['runCache'] !== true) return 0
  const chosen = chosenRemote(options)
  const warn = (text: string) => context.report({ type: 'warning', text })
  if (chosen === undefined && repo.config.get('core', 'remote') === undefined) {
    warn('the run cache stays where it is: no remote is specified')
    return 0
  }
  return withRemote(repo, chosen, context, cache, async (remote) => {
    const moved = await move(remote, openRunFiles(repo.cacheDir), transferOptions(context, options))
    if (moved === undefined)
      warn(`the run cache stays where it is: '${remote.name}' is a plain HTTP server, or one that keeps no run cache`)
    return moved ?? 0
  })
}

/** Prints what a push or fetch would move, for each remote. */
export async function printPlans(
  direction: 'push' | 'fetch',
  repo: Repo,
  context: Context,
  request: { cache: ObjectCache; outputs: readonly Output[]; options: Options },
): Promise<void> {
  const { cache, outputs, options } = request
  const groups = byRemote(outputs, chosenRemote(options))
  if (groups.size === 0) context.report({ type: 'result', text: 'Everything is up to date.' })
  for (const [name, group] of groups) {
    await withRemote(repo, name, context, cache, async (remote) => {
      const differences = await cloudStatus({ remote, cache, outputs: group, options: transferOptions(context, options) })
      const plan = planTransfer(direction, differences, (digest) => cache.soundStat(digest)?.size)
      context.report({ type: 'result', text: describePlan(direction, plan, remote.name) })
    })
  }
}

/** Warns about what stayed behind and fails for it, in dvc's words. */
export function failForLeft(context: Context, left: readonly Left[], verb: 'upload' | 'download'): void {
  if (left.length === 0) return
  context.report({ type: 'warning', text: describeLeft(left).join('\n') })
  const damaged = left.some((object) => object.reason === 'damaged')
  const hint =
    damaged && verb === 'upload'
      ? "A damaged object comes back with 'cairn fetch' where the remote has it, or with 'cairn add' from a good copy."
      : undefined
  throw new CairnError(
    'COMMAND_FAILED',
    `${left.length} file${left.length === 1 ? '' : 's'} failed to ${verb}`,
    hint === undefined ? {} : { hint },
  )
}

const OWN_WORDS: ReadonlySet<string> = new Set(['CONFIG', 'USAGE', 'NOT_A_REPOSITORY', 'CANCELLED'])

/** dvc takes a remote that is not there for a failure of the command, with exit code 1, unlike other mistakes in its configuration. */
const lacksRemote = (error: CairnError): boolean =>
  error.code === 'CONFIG' && /^config file error: (no remote specified|remote '.*' doesn't exist)/.test(error.message)

/** Puts dvc's prefix before whatever fails in moving. Its exit code is 1, except for what is wrong before anything moves. */
export async function inCloudWords<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof CairnError) || (OWN_WORDS.has(error.code) && !lacksRemote(error))) throw error
    const { code, message, hint, data } = error
    throw new CairnError(code, `failed to ${what} - ${message}`, {
      exit: 1,
      cause: error,
      ...(hint !== undefined && { hint }),
      ...(data && { data }),
    })
  }
}
