import type { Context, Options, OptionSpec } from '../command.ts'
import { CairnError } from '@cairn/protocol/error'
import { experimentRefs, type ExperimentRef } from '../experiments/refs.ts'
import { type GitWriter, openGitWriter } from '../repo/git-writer.ts'
import { type Session, withSession } from './session.ts'
import { namedRevisions } from './revisions.ts'

export interface ExpSession extends Session {
  writer: GitWriter
  refs: readonly ExperimentRef[]
  head: string | undefined
}

/** Opens the repository with its experiments. */
export async function withExperiments<T>(context: Context, name: string, work: (session: ExpSession) => Promise<T>): Promise<T> {
  return withSession(context, `cairn exp ${name}`, async (session) => {
    const writer = openGitWriter(session.repo, context.env)
    return work({ ...session, writer, refs: await experimentRefs(writer), head: writer.git.head() })
  })
}

export const BASELINE_OPTIONS: readonly OptionSpec[] = [
  { flags: '-A, --all-commits', summary: 'Of every commit.' },
  { flags: '--rev <commit>', summary: 'Of this commit; HEAD by default. May be given several times.', repeatable: true },
  { flags: '-n, --num <n>', summary: 'Of that many commits, going back from the first; all of them when negative.' },
]

/** The commits that the options name, each once. @throws CairnError FAILED, USAGE */
export async function baselines({ writer, repo }: ExpSession, options: Options): Promise<string[]> {
  const named = await namedRevisions(repo, options)
  if (named.length > 0) return [...new Set(named.map(({ sha }) => sha))]
  const revs = Array.isArray(options['rev']) && options['rev'].length > 0 ? options['rev'].map(String) : ['HEAD']
  const count = Number(options['num'] ?? 1)
  if (!Number.isInteger(count)) throw new CairnError('USAGE', `argument -n/--num: '${String(options['num'])}' is not a number`)
  const found: string[] = []
  for (const rev of revs) {
    const sha = writer.git.resolve(rev)
    const limit = count < 0 ? [] : [`--max-count=${count}`]
    found.push(...(await writer.ask(['rev-list', '--first-parent', ...limit, sha])))
  }
  return [...new Set(found)]
}

/** The experiments that the options name by their commits. */
export async function selectedRefs(session: ExpSession, options: Options): Promise<ExperimentRef[]> {
  if (options['allCommits'] === true) return [...session.refs]
  const commits = new Set(await baselines(session, options))
  return session.refs.filter((each) => commits.has(each.baseline))
}

export const asksForBaselines = (options: Options): boolean =>
  options['allCommits'] === true || options['num'] !== undefined || (Array.isArray(options['rev']) && options['rev'].length > 0)

/** `'a', 'b' and 'c'` */
export function quoted(names: readonly string[]): string {
  const all = names.map((name) => `'${name}'`)
  const last = all.pop() ?? ''
  return all.length === 0 ? last : `${all.join(', ')} and ${last}`
}
