import type { Command, Context, Options } from '../command.ts'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { ObjectSink } from '../cache/object-sink.ts'
import { openRemote } from '../remote/open.ts'
import type { Remote } from '../remote/remote.ts'
import type { Repo } from '../repo/repo.ts'
import type { Output } from '../transfer/expand.ts'
import { bringImports } from './fetch-imports.ts'
import { selectOutputs, selectTargets } from './select-outputs.ts'
import { fetchOutputs } from '../transfer/fetch.ts'
import { type Left, summarize } from '../transfer/outcome.ts'
import { fetchRuns } from '../transfer/runs.ts'
import { withStages } from './session.ts'
import {
  byRemote,
  chosenRemote,
  earlierOf,
  DRY_RUN,
  failForLeft,
  inCloudWords,
  moveRuns,
  openCache,
  printPlans,
  selectionOf,
  TRANSFER_OPTIONS,
  transferOptions,
} from './transfer.ts'

export const command: Command = {
  name: 'fetch',
  summary: 'Bring what the cache lacks from the remote.',
  description:
    "Brings the content of the targets' outputs, of all outputs without targets, into the cache; 'cairn checkout' brings it into the workspace. Exits with 1 when something is on neither side; everything else came.",
  arguments: [{ name: '[target...]', summary: 'Stages, stage files, outputs, or paths inside of one.' }],
  options: [
    ...TRANSFER_OPTIONS,
    { flags: '--max-size <bytes>', summary: 'Only outputs below that size; a folder counts with all its files.' },
    { flags: '--type <type>', summary: 'Only what is, or holds, `metrics` or `plots`.', repeatable: true },
    DRY_RUN,
  ],
  examples: ['cairn fetch', 'cairn fetch data/images/cats', 'cairn fetch -T'],
  run: (context, targets, options) =>
    inCloudWords('fetch data from the cloud', () =>
      withStages(context, async ({ repo }) => {
        const cache = openCache(repo)
        try {
          const selection = selectionOf(context, targets, options, true)
          const outputs = await selectOutputs(repo, selection, context)
          if (options['dryRun'] === true) return await printPlans('fetch', repo, context, { cache, outputs, options })
          await moveRuns(repo, context, cache, { options, move: fetchRuns })
          const own = await bringOutputs(repo, context, { cache, outputs, options })
          const imported = await bringImports(repo, context, cache, await selectTargets(repo, selection))
          const [fetched, left] = [own.fetched + imported.fetched, [...own.left, ...imported.left]]
          const summary = summarize([[fetched, 'fetched']])
          if (summary !== undefined || left.length === 0)
            context.report({ type: 'result', text: summary ?? 'Everything is up to date.' })
          failForLeft(context, left, 'download')
        } finally {
          cache.close()
        }
      }),
    ),
}

/** Fetches from each remote that the outputs name. A remote that nothing is missing from is not even opened. */
export async function bringOutputs(
  repo: Repo,
  context: Context,
  request: { cache: ObjectCache; outputs: readonly Output[]; options: Options; sink?: () => ObjectSink },
): Promise<{ fetched: number; left: Left[] }> {
  const { cache, outputs, options } = request
  const moving = transferOptions(context, options)
  const chosen = chosenRemote(options)
  // A name that was mistyped is told also when there is nothing to bring.
  if (chosen !== undefined) repo.config.remote(chosen)
  const total = { fetched: 0, left: [] as Left[] }
  for (const [name, group] of byRemote(outputs, chosen)) {
    let remote: Remote | undefined
    const open = async () => (remote ??= await openRemote(repo, name, context, cache))
    try {
      const done = await fetchOutputs({
        open,
        cache,
        outputs: group,
        options: { ...moving, earlier: earlierOf(repo, context, cache, group) },
        sink: request.sink,
      })
      total.fetched += done.fetched
      total.left.push(...done.left)
      context.report({ type: 'debug', text: `${done.requests} requests, ${done.bytes} bytes` })
    } finally {
      await remote?.close()
    }
  }
  return total
}
