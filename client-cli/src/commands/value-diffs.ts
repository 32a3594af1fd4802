import { CairnError } from '@cairn/protocol/error'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { ArgumentSpec, Context, Options, OptionSpec } from '../command.ts'
import { jsonText } from '../pipeline/json-value.ts'
import type { MetricsOf } from '../pipeline/metrics-table.ts'
import type { Naming } from '../pipeline/read-content.ts'
import { tableFormat } from '../pipeline/table.ts'
import { diffTable, type ValueDiff } from '../pipeline/value-diff.ts'
import { openRepo } from '../repo/open.ts'
import type { Repo } from '../repo/repo.ts'
import { isErrored, namingIn, reportErrored, withCache } from './revision-metrics.ts'
import { rootRelative } from './root-relative.ts'

export const ARGUMENTS: readonly ArgumentSpec[] = [
  { name: '[a_rev]', summary: 'The old commit; HEAD by default.' },
  { name: '[b_rev]', summary: 'The new commit; the workspace by default.' },
]

export const DIFF_OPTIONS: readonly OptionSpec[] = [
  { flags: '--json', summary: 'Print JSON.' },
  { flags: '--md', summary: 'Print a Markdown table.' },
  { flags: '--csv', summary: 'Print CSV.' },
  { flags: '--no-path', summary: 'Leave the column of the files out.' },
]

export interface DiffSession {
  repo: Repo
  cache: ObjectCache
  context: Context
  name: Naming
}

export interface DiffKind {
  title: 'Metric' | 'Param'
  /** Of the table; undefined: all digits, and no column of differences. */
  precision?: number
  read(session: DiffSession, revision: { rev: string; shown: string }, targets: readonly string[]): Promise<MetricsOf>
  compare(old: MetricsOf, next: MetricsOf): ValueDiff
}

/** Compares what two revisions say, and prints it. A repository without a commit has nothing to compare. */
export async function showDiff(context: Context, revisions: readonly string[], options: Options, kind: DiffKind): Promise<void> {
  const repo = openRepo(context.cwd, context.env)
  const [old = 'HEAD', next = 'workspace'] = revisions
  try {
    const diff = await withCache(repo, (cache) => {
      const session = { repo, cache, context, name: namingIn(repo, context.cwd) }
      return diffOf(session, [old, next], targetsOf(repo, context, options), kind)
    })
    const text =
      options['json'] === true
        ? jsonText(diff)
        : diffTable(diff, {
            title: kind.title,
            old,
            new: next,
            noPath: options['path'] === false,
            changes: kind.precision !== undefined,
            ...(kind.precision !== undefined && { precision: kind.precision }),
            format: tableFormat(options),
          })
    if (text !== '') context.report({ type: 'output', text })
  } finally {
    await repo.git?.close()
  }
}

const targetsOf = (repo: Repo, context: Context, { targets }: Options): string[] =>
  Array.isArray(targets) ? targets.map((target) => rootRelative(repo, context.cwd, String(target))) : []

async function diffOf(
  session: DiffSession,
  [old, next]: readonly [string, string],
  targets: readonly string[],
  kind: DiffKind,
): Promise<ValueDiff> {
  const { repo, context, name } = session
  if (repo.git === undefined) throw new CairnError('FAILED', 'comparing commits is only supported for Git repositories')
  if (repo.git.head() === undefined) return new Map()
  const [oldRev, nextRev] = [resolved(repo, old), resolved(repo, next)]
  const before = await kind.read(session, { rev: oldRev, shown: old }, targets)
  const after = oldRev === nextRev ? before : await kind.read(session, { rev: nextRev, shown: next }, targets)
  const errored = [...(isErrored(before) ? [old] : []), ...(isErrored(after) && old !== next ? [next] : [])]
  reportErrored(context, 'metrics', errored)
  return new Map([...kind.compare(before, after)].map(([file, changes]) => [name(file), changes]))
}

const resolved = ({ git }: Repo, rev: string): string => (rev === 'workspace' ? rev : (git?.resolve(rev) ?? rev))
