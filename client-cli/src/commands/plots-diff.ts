import { CairnError } from '@cairn/protocol/error'
import type { Command, Options } from '../command.ts'
import { capture } from '../io/spawn.ts'
import type { Git } from '../repo/git.ts'
import { openRepo } from '../repo/open.ts'
import { PAGE_OPTIONS, PROPS_OPTIONS } from './plot-options.ts'
import { showPlots } from './plots.ts'

export const command: Command = {
  name: 'plots diff',
  summary: 'Draw plots of several commits over each other, as a page.',
  description:
    'One commit is compared with the workspace; without any, HEAD is when the work tree has changes. Commits are read out of Git ' +
    'and the cache; nothing is checked out.',
  arguments: [{ name: '[revision...]', summary: 'Commits, and `workspace`.' }],
  options: [
    { flags: '--targets <path...>', summary: 'Only these files, or ids of plots in dvc.yaml.' },
    ...PROPS_OPTIONS,
    ...PAGE_OPTIONS,
  ],
  examples: ['cairn plots diff', 'cairn plots diff v1.0 main', 'cairn plots diff HEAD~1 --targets loss.csv -t smooth'],
  async run(context, revisions, options) {
    const repo = openRepo(context.cwd, context.env)
    try {
      const revs = await comparedRevisions(repo.git, revisions)
      await showPlots(repo, context, { targets: targetsOf(options), revs, options })
    } finally {
      await repo.git?.close()
    }
  },
}

const targetsOf = ({ targets }: Options): string[] => (Array.isArray(targets) ? targets.map(String) : [])

async function comparedRevisions(git: Git | undefined, given: readonly string[]): Promise<readonly string[]> {
  if (git === undefined) throw new CairnError('COMMAND_FAILED', 'comparing commits is only supported for Git repositories')
  if (git.head() === undefined) return []
  for (const rev of given) if (rev !== 'workspace') known(git, rev)
  if (given.length > 1) return given
  return [...given, ...(given.length === 0 && (await isDirty(git)) ? ['HEAD'] : []), 'workspace']
}

/** dvc's exit code here is another one than that of `metrics diff`. */
function known(git: Git, rev: string): void {
  try {
    git.resolve(rev)
  } catch (error) {
    if (error instanceof CairnError) throw new CairnError('COMMAND_FAILED', error.message, { cause: error })
    throw error
  }
}

async function isDirty(git: Git): Promise<boolean> {
  const { stdout } = await capture('git', ['status', '--porcelain', '--untracked-files=no'], { cwd: git.root })
  return stdout.length > 0
}
