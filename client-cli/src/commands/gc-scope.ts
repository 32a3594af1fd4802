import { CairnError } from '@cairn/protocol/error'
import type { Options } from '../command.ts'
import { capture } from '../io/spawn.ts'
import type { Git } from '../repo/git.ts'

/** What `gc` keeps, beside the workspace. */
export interface Scope {
  allBranches: boolean
  allTags: boolean
  allCommits: boolean
  allExperiments: boolean
  rev: string | undefined
  /** Commits of a revision or branch, counted back; -1: all. */
  num: number
  /** `2024-12-31`: commits since then. */
  date: string | undefined
  notInRemote: boolean
}

/** @throws CairnError FAILED in dvc's words when nothing is chosen, or what excludes each other */
export function scopeOf(options: Options): Scope {
  const on = (name: string) => options[name] === true
  const [rev, date] = [options['rev'] as string | undefined, options['date'] as string | undefined]
  const scope = {
    allBranches: on('allBranches'),
    allTags: on('allTags'),
    allCommits: on('allCommits'),
    allExperiments: on('allExperiments'),
    rev,
    date,
    num: options['num'] === undefined ? 1 : Number(options['num']),
    notInRemote: on('notInRemote'),
  }
  if (options['num'] !== undefined && rev === undefined && !scope.allBranches)
    throw new CairnError('FAILED', '`--num` can only be used alongside `--rev` or `--all-branches`')
  if (!Number.isInteger(scope.num) || scope.num === 0)
    throw new CairnError('USAGE', `argument -n/--num: invalid int value: '${String(options['num'])}'`)
  const chosen = [
    on('workspace'),
    scope.allBranches,
    scope.allTags,
    scope.allCommits,
    scope.allExperiments,
    rev !== undefined,
    date !== undefined,
  ]
  if (!chosen.includes(true))
    throw new CairnError(
      'FAILED',
      'Either of `-w|--workspace`, `-a|--all-branches`, `-T|--all-tags` `--all-experiments`, `--all-commits`, `--date` or `--rev` needs to be set.',
    )
  if (scope.notInRemote && options['cloud'] === true)
    throw new CairnError('FAILED', '`--not-in-remote` and `--cloud` are mutually exclusive')
  if (date !== undefined && !/^\d{4}-\d{2}-\d{2}$/.test(date))
    throw new CairnError('FAILED', `--date: '${date}' is not a date as in 2024-12-31`)
  return scope
}

/** What will be kept, as a sentence. */
export function describeScope(scope: Scope, projects: readonly string[]): string {
  const { allBranches, allTags, rev, num, date } = scope
  const kept = ['the workspace']
  if (scope.allCommits) kept.push('all git commits')
  else {
    if (allBranches && allTags) kept.push('all git branches and tags')
    else if (allBranches) kept.push('all git branches')
    else if (allTags) kept.push('all git tags')
    if (rev !== undefined) kept.push(`last ${num} commits from ${rev}`)
  }
  if (date !== undefined) kept.push(`all git commits since ${date}`)
  if (scope.allExperiments) kept.push('all experiments')
  const words = kept.length === 1 ? kept[0] : `${kept.slice(0, -1).join(', ')} and ${kept.at(-1)}`
  const remote = scope.notInRemote ? ' that are not present in the DVC remote' : ''
  const where =
    projects.length === 0
      ? 'the current repo.'
      : `the current and the following repos:\n${projects.map((each) => `  - ${each}`).join('\n')}`
  return `This will remove all cache except items used in ${words}${remote} of ${where}`
}

/** The commits that a scope keeps. @throws CairnError FAILED for an unknown revision, or without Git */
export async function commitsIn(git: Git | undefined, scope: Scope): Promise<string[]> {
  const { allBranches, allTags, allCommits, allExperiments, rev, date, num } = scope
  if (!allBranches && !allTags && !allCommits && !allExperiments && rev === undefined && date === undefined) return []
  if (git === undefined) throw new CairnError('FAILED', 'branches, tags and commits: only supported for Git repositories')
  const commits = new Set<string>()
  const add = async (...args: string[]) => {
    for (const sha of await ask(git, args)) commits.add(sha)
  }
  const back = num < 0 ? [] : [`--max-count=${num}`]
  if (rev !== undefined) await add('rev-list', ...back, git.resolve(rev), '--')
  if (allBranches) for (const branch of git.branches()) await add('rev-list', ...back, `refs/heads/${branch}`, '--')
  if (allTags) for (const tag of git.tags()) await add('rev-list', '--max-count=1', `refs/tags/${tag}`, '--')
  if (allCommits) await add('rev-list', '--all', ...(git.head() === undefined ? [] : ['HEAD']), '--')
  if (date !== undefined)
    await add('rev-list', '--all', `--since=${date} 00:00:00`, ...(git.head() === undefined ? [] : ['HEAD']), '--')
  if (allExperiments) for (const ref of await ask(git, ['for-each-ref', '--format=%(objectname)', 'refs/exps'])) commits.add(ref)
  return [...commits]
}

async function ask(git: Git, args: readonly string[]): Promise<string[]> {
  const { code, stdout, stderr } = await capture('git', args, { cwd: git.root })
  if (code !== 0) throw new CairnError('FAILED', `git ${args[0]} failed: ${stderr.trim()}`)
  return stdout.toString().split('\n').filter(Boolean)
}
