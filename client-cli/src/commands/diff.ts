import { existsSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { Command, Options } from '../command.ts'
import { loadStages } from '../pipeline/load.ts'
import { compareSnapshots, type Row, rowsInside, shown } from '../pipeline/snapshot-diff.ts'
import { diffJson, diffRows, diffText, type RevisionDiff } from '../pipeline/snapshot-text.ts'
import { cachedOuts, recordedSnapshot, type Snapshot, standingSnapshot } from '../pipeline/snapshot.ts'
import { isAtOrBelow } from '../pipeline/stage-path.ts'
import { tableText } from '../pipeline/table.ts'
import { isCached } from '../pipeline/observe.ts'
import { revisionTree } from '../repo/file-tree.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { formatJson } from '../report/json.ts'
import { NO_GIT } from './no-git.ts'
import { rootRelative } from './root-relative.ts'
import { type Session, withSession } from './session.ts'

export const command: Command = {
  name: 'diff',
  summary: 'Print which files were added, changed, renamed or deleted between two revisions.',
  description:
    'Compares revision A (HEAD) with revision B (the workspace), file by file, also inside of tracked folders. Revisions are read out of Git, nothing is checked out.',
  arguments: [
    { name: '[a-rev]', summary: 'The earlier revision. Default: HEAD' },
    { name: '[b-rev]', summary: 'The later revision. Default: the workspace' },
  ],
  options: [
    { flags: '--targets <paths...>', summary: 'Only these files and folders, also inside of tracked folders.' },
    { flags: '--json', summary: 'Print it for programs.' },
    { flags: '--show-hash', summary: 'Print the hashes too.' },
    { flags: '--md', summary: 'Print a Markdown table.' },
    { flags: '--hide-missing', summary: 'Do not name what the cache lacks.' },
  ],
  examples: ['cairn diff', 'cairn diff 0.1 0.2', 'cairn diff main --targets data --json'],
  run: (context, [from = 'HEAD', to], options) =>
    withSession(context, 'cairn diff', async (session) => {
      const diff = await inDiffWords(() =>
        withRepoLock(session.repo, session.signal, () => compare(session, { from, to }, options)),
      )
      const withHash = options['showHash'] === true
      if (options['json'] === true) return context.report({ type: 'output', text: formatJson(diffJson(diff, withHash)) })
      if (options['md'] === true) {
        const { header, rows } = diffRows(diff, withHash)
        return context.report({ type: 'output', text: tableText(header, rows, 'markdown') })
      }
      const text = diffText(diff, withHash)
      if (text !== undefined) context.report({ type: 'result', text })
    }),
}

async function compare(
  session: Session,
  { from, to }: { from: string; to: string | undefined },
  options: Options,
): Promise<RevisionDiff> {
  const { repo, workspace } = session
  if (!repo.git) throw new CairnError('COMMAND_FAILED', NO_GIT)
  // Before the first commit there is nothing to compare with.
  if (from === 'HEAD' && repo.git.head() === undefined)
    return { added: [], deleted: [], modified: [], renamed: [], missing: undefined }
  const at = async (rev: string) => recordedSnapshot(cachedOuts(await loadStages(revisionTree(repo, rev))), workspace.cache)
  const old = await at(from)
  const now = to === undefined ? await standingSnapshot(cachedOuts(await session.load()), workspace) : await at(to)
  const isMeant = targetFilter(session, [old, now], options['targets'] as string[] | undefined)
  const { added, deleted, modified, renamed } = compareSnapshots(old, now, { granular: true, isMeant })
  const missing = to === undefined && options['hideMissing'] !== true ? missingOf(old, workspace) : undefined
  return { added, deleted, modified, renamed, missing: missing?.filter((row) => isMeant(row.path)) }
}

/** A target is a path as the person sees it; when none of them is anywhere that is a slip. */
function targetFilter(
  { repo, cwd }: Session,
  snapshots: readonly Snapshot[],
  targets: readonly string[] | undefined,
): (path: string) => boolean {
  if (targets === undefined) return () => true
  const wanted = targets.map((target) => rootRelative(repo, path.join(repo.root, cwd), target))
  const isKnown = (location: string) =>
    existsSync(path.join(repo.root, location)) || snapshots.some((snapshot) => isIn(snapshot, location))
  if (!wanted.some(isKnown)) throw new CairnError('FAILED', `'${targets.join("', '")}' does not exist, in neither of the two`)
  return (file) => wanted.some((location) => location === '' || isAtOrBelow(file, location))
}

function isIn(snapshot: Snapshot, location: string): boolean {
  for (const [out, entry] of snapshot) {
    if (isAtOrBelow(out, location)) return true
    if (!location.startsWith(`${out}/`)) continue
    if (rowsInside(out, entry)?.some((row) => isAtOrBelow(row.path, location))) return true
  }
  return false
}

/** What was recorded and the cache does not have, folders and each of their files. */
export function missingOf(recorded: Snapshot, workspace: { cache: ObjectCache }): Row[] {
  const rows = [...recorded].flatMap(([out, entry]): Row[] => {
    const whole = { path: out, digest: entry.digest }
    const held = workspace.cache.has(entry.digest)
    if (held && (!entry.members || isCached(workspace, entry.digest))) return []
    const inside = rowsInside(out, entry) ?? []
    const lacking = new Set(workspace.cache.missing(inside.map((row) => row.digest)))
    return [...(held ? [] : [whole]), ...inside.filter((row) => lacking.has(row.digest))]
  })
  return rows.toSorted((a, b) => compareCodePoints(shown(a), shown(b)))
}

/** In dvc's words, with 1 for a revision that is not there. */
async function inDiffWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const refused = error instanceof CairnError && (error.message === NO_GIT || error.message.startsWith('unknown Git revision'))
    if (!refused) throw error
    throw new CairnError('COMMAND_FAILED', `failed to get diff - ${error.message}`, { cause: error })
  }
}
