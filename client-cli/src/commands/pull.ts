import { CairnError } from '@cairn/protocol/error'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { ObjectSink } from '../cache/object-sink.ts'
import type { Command, Context, Options } from '../command.ts'
import type { Target } from '../pipeline/load.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { selectOutputs, selectTargets } from './select-outputs.ts'
import { describeLeft, type Left, summarize } from '../transfer/outcome.ts'
import { fetchRuns } from '../transfer/runs.ts'
import type { CheckoutResult, EarlyFiles } from '../workspace/workspace.ts'
import { changesOf, countsOf, wantedOf } from './checkout.ts'
import { bringImports } from './fetch-imports.ts'
import { bringOutputs } from './fetch.ts'
import { type Session, withSession } from './session.ts'
import { DRY_RUN, failForLeft, GLOB, inCloudWords, moveRuns, printPlans, selectionOf, TRANSFER_OPTIONS } from './transfer.ts'

export const command: Command = {
  name: 'pull',
  summary: 'Bring what is lacking from the remote, into the cache and the workspace.',
  description:
    'A fetch and a checkout of the same targets. A target may be a path inside of a tracked folder: then only that is fetched and checked out. Workspace bytes that are saved nowhere stay, unless -f is given.',
  arguments: [{ name: '[target...]', summary: 'Stages, stage files, outputs, or paths inside of one.' }],
  options: [
    ...TRANSFER_OPTIONS,
    { flags: '-f, --force', summary: 'Overwrite workspace bytes that are saved nowhere.' },
    { flags: '--allow-missing', summary: 'Do not fail for what is on neither side.' },
    { ...GLOB, hidden: true },
    DRY_RUN,
  ],
  examples: ['cairn pull', 'cairn pull data.dvc', 'cairn pull data/images/cats'],
  run: (context, targets, options) =>
    inCloudWords('pull data from the cloud', () =>
      withSession(context, ['cairn', 'pull', ...targets].join(' '), (session) => pull(session, context, targets, options)),
    ),
}

async function pull(session: Session, context: Context, targets: readonly string[], options: Options): Promise<void> {
  const { repo, workspace } = session
  const { cache } = workspace
  const selection = selectionOf(context, targets, options, true)
  const outputs = await selectOutputs(repo, selection, context)
  if (options['dryRun'] === true) return printPlans('fetch', repo, context, { cache, outputs, options })

  await moveRuns(repo, context, cache, { options, move: fetchRuns })
  const expected = wantedOf(await selectTargets(repo, selection))
  let early: EarlyFiles | undefined
  const sink = () => placing(cache, (early ??= workspace.expect(expected)))
  try {
    let { fetched, left } = await bringOutputs(repo, context, { cache, outputs, options, sink })
    const here = await selectTargets(repo, selection)
    const imported = await bringImports(repo, context, cache, here)
    fetched += imported.fetched
    left.push(...imported.left)
    const checkout = () =>
      withRepoLock(repo, context.signal, () => checkOut(session, here, { options, whole: targets.length === 0, early }))
    let result = await checkout()
    // Checking out hashes what it places, and moves damaged objects aside: those can be fetched now.
    if (result.failed.length > 0 && left.length === 0) {
      const again = await bringOutputs(repo, context, { cache, outputs, options })
      fetched += again.fetched
      left = again.left
      if (again.fetched > 0) result = merge(result, await checkout())
    }
    const lenient = options['allowMissing'] === true
    report(context, fetched, lenient ? { ...result, failed: [] } : result)
    if (!lenient) fail(context, left, result)
  } finally {
    early?.close()
  }
}

/** Small objects go into the workspace's drafts as they come into the cache: their bytes need not be read again. */
const placing = (cache: ObjectCache, early: EarlyFiles): ObjectSink => ({
  ...cache,
  store(digest, bytes) {
    cache.store(digest, bytes)
    early.place(digest, bytes)
  },
})

const merge = (first: CheckoutResult, second: CheckoutResult): CheckoutResult => ({
  added: [...first.added, ...second.added],
  modified: [...first.modified, ...second.modified],
  deleted: [...first.deleted, ...second.deleted],
  files: {
    added: first.files.added + second.files.added,
    modified: first.files.modified + second.files.modified,
    deleted: first.files.deleted + second.files.deleted,
  },
  failed: second.failed,
})

function checkOut(
  session: Session,
  targets: readonly Target[],
  { options, whole, early }: { options: Options; whole: boolean; early: EarlyFiles | undefined },
): Promise<CheckoutResult> {
  const wanted = wantedOf(targets)
  const force = options['force'] === true
  const keep = targets.flatMap((target) => target.stage.outs.map((out) => out.path))
  return session.workspace.checkout(wanted, { force, relink: false, removeStale: whole, keep, early })
}

function report(context: Context, fetched: number, result: CheckoutResult): void {
  const lines = changesOf(result)
  const summary = summarize([[fetched, 'fetched'], ...countsOf(result.files)])
  if (summary !== undefined) lines.push(summary)
  else if (result.failed.length === 0 && lines.length === 0) lines.push('Everything is up to date.')
  if (lines.length > 0) context.report({ type: 'result', text: lines.join('\n') })
}

function fail(context: Context, left: readonly Left[], result: CheckoutResult): void {
  if (result.failed.length > 0) {
    if (left.length > 0) context.report({ type: 'warning', text: describeLeft(left).join('\n') })
    const list = result.failed.map((failed) => failed.path).join('\n')
    throw new CairnError('CACHE_MISSING', `Checkout failed for following targets:\n${list}\nIs your cache up to date?`, {
      hint: "Whoever has these files can 'cairn push' them.",
    })
  }
  failForLeft(context, left, 'download')
}
