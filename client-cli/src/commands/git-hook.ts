import { existsSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { captureSync } from '../io/spawn.ts'
import { openRepo } from '../repo/open.ts'
import { mergeFiles } from './merge-driver.ts'

/** What Git gives its hooks; not for people. */
const hook = (
  name: string,
  summary: string,
  work: (context: Context, args: readonly string[]) => Promise<number | void>,
): Command => ({
  name: `git-hook ${name}`,
  summary,
  arguments: [{ name: '[arg...]', summary: 'What Git gives its hook.' }],
  passThrough: true,
  examples: [`cairn git-hook ${name}`],
  run: async (context, args) => {
    try {
      openRepo(context.cwd, context.env)
    } catch (error) {
      // A commit from before there was any .dvc has nothing for the hook to do.
      if (isCode(error, 'NOT_A_REPOSITORY')) return 0
      throw error
    }
    return work(context, args)
  },
})

const run = (command: Command, context: Context): Promise<number | void> => command.run(context, [], {})

export const preCommit = hook('pre-commit', "Before a commit: 'cairn status'.", async (context) =>
  run((await import('./status.ts')).command, context),
)

export const prePush = hook('pre-push', "Before a push: 'cairn push'.", async (context) =>
  run((await import('./push.ts')).command, context),
)

export const postCheckout = hook('post-checkout', "After a checkout: 'cairn checkout'.", async (context, args) => {
  const kind = args[2] ?? context.env['PRE_COMMIT_CHECKOUT_TYPE']
  // 1: a branch was checked out, not single files. In a rebase there is a checkout a commit.
  if (kind !== '1' || isRebasing(context.cwd)) return 0
  return run((await import('./checkout.ts')).command, context)
})

function isRebasing(cwd: string): boolean {
  return ['rebase-merge', 'rebase-apply'].some((name) => {
    const { code, stdout } = captureSync('git', ['rev-parse', '--git-path', name], { cwd })
    return code === 0 && existsSync(path.resolve(cwd, stdout.toString().trim()))
  })
}

export const mergeDriver: Command = {
  name: 'git-hook merge-driver',
  summary: "Merges two versions of a .dvc file: Git's merge driver.",
  description:
    'What either side added, changed or removed in a tracked folder is taken; what both did differently is named, and left to you.',
  options: [
    { flags: '--ancestor <file>', summary: 'The version that both come from.' },
    { flags: '--our <file>', summary: 'Our version; the merged one is written here.' },
    { flags: '--their <file>', summary: 'Their version.' },
  ],
  examples: ['cairn git-hook merge-driver --ancestor %O --our %A --their %B'],
  run: (context, _args, options) => mergeFiles(context, filesOf(options)),
}

function filesOf(options: Options): { ancestor: string; our: string; their: string } {
  const [ancestor, our, their] = ['ancestor', 'our', 'their'].map((name) => {
    const file = options[name] as string | undefined
    if (file === undefined) throw new CairnError('USAGE', `the following arguments are required: --${name}`)
    return file
  })
  return { ancestor: ancestor ?? '', our: our ?? '', their: their ?? '' }
}
