import type { ObjectCache } from '../cache/object-cache.ts'
import type { Command, Context, Options } from '../command.ts'
import type { TransferOptions } from '../remote/remote.ts'
import { loadStages } from '../pipeline/load.ts'
import { workingTree } from '../repo/file-tree.ts'
import type { Repo } from '../repo/repo.ts'
import { selectOutputs } from './select-outputs.ts'
import type { Output } from '../transfer/expand.ts'
import { type Left, summarize } from '../transfer/outcome.ts'
import { pushOutputs } from '../transfer/push.ts'
import { withStages } from './session.ts'
import {
  byRemote,
  chosenRemote,
  earlierOf,
  DRY_RUN,
  failForLeft,
  GLOB,
  inCloudWords,
  moveRuns,
  openCache,
  printPlans,
  selectionOf,
  sendRuns,
  TRANSFER_OPTIONS,
  transferOptions,
  withRemote,
} from './transfer.ts'

export const command: Command = {
  name: 'push',
  summary: 'Send what the remote lacks.',
  description:
    "Sends the content of the targets' outputs, of all outputs without targets. With -T, -a or -A also what was recorded at those revisions; always to the remote that the workspace names. Exits with 1 when something could not be sent; everything else was.",
  arguments: [{ name: '[target...]', summary: 'Stages, stage files or outputs.' }],
  options: [...TRANSFER_OPTIONS, GLOB, DRY_RUN],
  examples: ['cairn push', 'cairn push data.dvc', 'cairn push -T --dry-run'],
  run: (context, targets, options) =>
    inCloudWords('push data to the cloud', () => withStages(context, ({ repo }) => push(repo, context, targets, options))),
}

// Takes no lock of the repository: it only reads, and the cache's objects appear and vanish whole.
async function push(repo: Repo, context: Context, targets: readonly string[], options: Options): Promise<void> {
  const moving = transferOptions(context, options)
  const outputs = await selectOutputs(repo, selectionOf(context, targets, options, true), context)
  const cache = openCache(repo)
  try {
    if (options['dryRun'] === true) return await printPlans('push', repo, context, { cache, outputs, options })
    const runs = await moveRuns(repo, context, cache, { options, move: sendRuns(cache, () => loadStages(workingTree(repo))) })
    const { pushed, left } = await sendOutputs(repo, context, { cache, outputs, moving, chosen: chosenRemote(options) })
    const summary = summarize([[pushed + runs, 'pushed']])
    if (summary !== undefined || left.length === 0)
      context.report({ type: 'result', text: summary ?? 'Everything is up to date.' })
    failForLeft(context, left, 'upload')
  } finally {
    cache.close()
  }
}

/** Sends to each remote that the outputs name, or to the chosen one. */
export async function sendOutputs(
  repo: Repo,
  context: Context,
  request: { cache: ObjectCache; outputs: readonly Output[]; moving: TransferOptions; chosen: string | undefined },
): Promise<{ pushed: number; left: Left[] }> {
  const { cache, outputs, moving, chosen } = request
  const total = { pushed: 0, left: [] as Left[] }
  for (const [name, group] of byRemote(outputs, chosen)) {
    const done = await withRemote(repo, name, context, cache, (remote) =>
      pushOutputs({ remote, cache, outputs: group, options: { ...moving, earlier: earlierOf(repo, context, cache, group) } }),
    )
    total.pushed += done.pushed
    total.left.push(...done.left)
    context.report({ type: 'debug', text: `${done.requests} requests, ${done.bytes} bytes` })
  }
  return total
}
