import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import type { Options, OptionSpec } from '../command.ts'
import { capture } from '../io/spawn.ts'
import type { Git } from '../repo/git.ts'
import type { Repo } from '../repo/repo.ts'

/** A commit under one of its names. */
export interface NamedRevision {
  name: string
  sha: string
  kind: 'branch' | 'tag' | 'commit'
}

export const REVISION_OPTIONS: readonly OptionSpec[] = [
  { flags: '-a, --all-branches', summary: 'Of all branches too.' },
  { flags: '-T, --all-tags', summary: 'Of all tags too.' },
  { flags: '-A, --all-commits', summary: 'Of all commits too.' },
]

export const asksForRevisions = (options: Options): boolean =>
  options['allBranches'] === true || options['allTags'] === true || options['allCommits'] === true

/**
 * The commits that the options name: branches, then tags in version order (0.9 before 0.10); all commits go by their sha, newest
 * first.
 * @throws CairnError FAILED outside of Git
 */
export async function namedRevisions({ git }: Repo, options: Options): Promise<NamedRevision[]> {
  if (!asksForRevisions(options)) return []
  if (git === undefined) throw new CairnError('FAILED', 'tags, branches and commits: only supported for Git repositories')
  if (options['allCommits'] === true) return (await allCommits(git)).map((sha) => ({ name: sha, sha, kind: 'commit' }))
  return [
    ...(options['allBranches'] === true ? await refsIn(git, 'branch') : []),
    ...(options['allTags'] === true ? await refsIn(git, 'tag') : []),
  ]
}

/** Each commit once, with all its names. Tags are in the order of their letters, as dvc's tables and JSON have them. */
export function groupRevisions(revisions: readonly NamedRevision[]): Array<{ sha: string; names: string[] }> {
  const tags = revisions.filter(({ kind }) => kind === 'tag').toSorted((a, b) => compareCodePoints(a.name, b.name))
  const groups = new Map<string, Set<string>>()
  for (const { name, sha } of [...revisions.filter(({ kind }) => kind !== 'tag'), ...tags])
    groups.set(sha, (groups.get(sha) ?? new Set()).add(name))
  return [...groups].map(([sha, names]) => ({ sha, names: [...names] }))
}

async function refsIn(git: Git, kind: 'branch' | 'tag'): Promise<NamedRevision[]> {
  const [prefix, order] = kind === 'branch' ? ['refs/heads', 'refname'] : ['refs/tags', 'v:refname']
  const format = '%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname:lstrip=2)'
  const lines = await ask(git, ['for-each-ref', `--sort=${order}`, `--format=${format}`, prefix])
  return lines.flatMap((line): NamedRevision[] => {
    const [type, sha = '', peeledType, peeled = '', ...words] = line.split(' ')
    const name = words.join(' ')
    if (type === 'commit') return [{ name, sha, kind }]
    return peeledType === 'commit' ? [{ name, sha: peeled, kind }] : []
  })
}

async function allCommits(git: Git): Promise<string[]> {
  if (git.head() === undefined) return []
  return ask(git, ['rev-list', 'HEAD', '--branches', '--remotes', '--tags'])
}

async function ask(git: Git, args: readonly string[]): Promise<string[]> {
  const { code, stdout, stderr } = await capture('git', args, { cwd: git.root })
  if (code !== 0) throw new CairnError('FAILED', `git ${args[0]} failed: ${stderr.trim()}`)
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
}
