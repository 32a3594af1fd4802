import { CairnError } from '@cairn/protocol/error'
import type { Command, Context } from '../command.ts'
import { findTargets, type Target } from '../pipeline/find-targets.ts'
import { linkKindOf } from '../pipeline/stage.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { summarize } from '../transfer/outcome.ts'
import type { CheckoutResult, FileCounts, Wanted } from '../workspace/workspace.ts'
import { withSession } from './session.ts'

export const command: Command = {
  name: 'checkout',
  summary: 'Make the workspace hold what the stage files say, out of the cache.',
  description:
    'Touches only what differs. Without targets, outputs of another branch or tag that are no longer any are removed. What is saved nowhere stays, unless -f is given.',
  arguments: [{ name: '[target...]', summary: 'Stages, stage files, outputs, or paths inside of one.' }],
  options: [
    { flags: '--summary', summary: 'Only print how many files changed.' },
    { flags: '-f, --force', summary: 'Overwrite and delete what is saved nowhere.' },
    { flags: '-d, --with-deps', summary: 'Also what the targets depend on.' },
    { flags: '-R, --recursive', summary: 'A folder stands for every stage below it.' },
    { flags: '--relink', summary: 'Make links anew that are not of the configured type.' },
    { flags: '--allow-missing', summary: 'Do not fail for what the cache lacks.' },
  ],
  examples: ['git checkout 0.1 && cairn checkout', 'cairn checkout data', 'cairn checkout --relink'],
  run: (context, args, options) =>
    withSession(context, ['cairn', 'checkout', ...args].join(' '), (session) =>
      withRepoLock(session.repo, session.signal, async () => {
        const find = { recursive: options['recursive'] === true, withDeps: options['withDeps'] === true }
        const stages = await session.load()
        const targets = suggestingGit(() => findTargets(stages, args, session.cwd, find))
        const result = await session.workspace.checkout(wantedOf(targets), {
          force: options['force'] === true,
          relink: options['relink'] === true,
          removeStale: args.length === 0,
          keep: targets.flatMap(({ stage }) => stage.outs.map((out) => out.path)),
        })
        report(context, result, { summary: options['summary'] === true, relinked: options['relink'] === true })
        if (result.failed.length > 0 && options['allowMissing'] !== true) throw missing(result)
      }),
    ),
}

/** Whoever names what nothing tracks may have meant the other tool. */
function suggestingGit<T>(find: () => T): T {
  try {
    return find()
  } catch (cause) {
    const unknown = cause instanceof CairnError ? /^'(.*?)' does not exist as an output/s.exec(cause.message)?.[1] : undefined
    if (!(cause instanceof CairnError) || unknown === undefined) throw cause
    throw new CairnError('FAILED', `Did you mean \`git checkout ${unknown}\`?: ${cause.message}`, { cause })
  }
}

/** What was never recorded is left as it stands. */
export function wantedOf(targets: readonly Target[]): Wanted[] {
  return targets.flatMap(({ stage, out, inside }) =>
    (out ? [out] : stage.outs).flatMap((each): Wanted[] => {
      if (!each.cache || each.recorded === undefined) return []
      const { digest, isexec } = each.recorded
      return [{ path: each.path, digest, isexec, inside, kind: linkKindOf(stage, each) }]
    }),
  )
}

function report(context: Context, result: CheckoutResult, { summary, relinked }: { summary: boolean; relinked: boolean }): void {
  const lines = summary ? [summarize(countsOf(result.files)) ?? 'No changes.'] : changesOf(result)
  if (relinked && result.failed.length === 0) lines.push('Relinked successfully')
  if (lines.length > 0) context.report({ type: 'result', text: lines.join('\n') })
}

/** The outputs that changed, a line each. */
export function changesOf({ added, modified, deleted }: CheckoutResult): string[] {
  return [
    ...modified.map((file) => `M       ${file}`),
    ...added.map((file) => `A       ${file}`),
    ...deleted.map((file) => `D       ${file}`),
  ]
}

/** For `summarize`. */
export function countsOf({ added, modified, deleted }: FileCounts): Array<[number, string]> {
  return [
    [modified, 'modified'],
    [added, 'added'],
    [deleted, 'deleted'],
  ]
}

function missing({ failed }: CheckoutResult): CairnError {
  return new CairnError(
    'CACHE_MISSING',
    `Checkout failed for following targets:\n${failed.map((each) => each.path).join('\n')}\nIs your cache up to date?`,
    {
      hint: "What a remote has of it comes with 'cairn pull'.",
    },
  )
}
