import path from 'node:path'
import { isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { findTargets } from '../pipeline/find-targets.ts'
import { loadStages } from '../pipeline/load.ts'
import { compareSnapshots, type Row, rowsInside, shown, type SnapshotDiff } from '../pipeline/snapshot-diff.ts'
import { type DataStatus, dataStatusJson, dataStatusText } from '../pipeline/snapshot-text.ts'
import { cachedOuts, recordedSnapshot, type Snapshot, standingSnapshot } from '../pipeline/snapshot.ts'
import { isAtOrBelow, overlaps } from '../pipeline/stage-path.ts'
import type { Out, Stage } from '../pipeline/stage.ts'
import { revisionTree } from '../repo/file-tree.ts'
import { readGitStatus } from '../repo/git-status.ts'
import { formatJson } from '../report/json.ts'
import { missingOf } from './diff.ts'
import { type Session, withSession } from './session.ts'

export const command: Command = {
  name: 'data status',
  summary: 'Print what changed between the last commit, the stage files and the workspace.',
  description: 'Only looks, and exits with 0 whatever it finds.',
  arguments: [{ name: '[target...]', summary: 'Stages, stage files, outputs, or paths inside of one.' }],
  options: [
    { flags: '--json', summary: 'Print it for programs.' },
    { flags: '--granular', summary: 'Also the files inside of tracked folders, each by itself.' },
    { flags: '--unchanged', summary: 'Also what did not change.' },
    {
      flags: '--untracked-files [mode]',
      summary: 'Also files that neither Git nor Cairn tracks: all (the default of the flag) or no.',
    },
    { flags: '-r, --remote <name>', summary: 'With --not-in-remote: the remote to ask.' },
    { flags: '--not-in-remote', summary: 'Also what the remote lacks.' },
    { flags: '--no-remote-refresh', summary: 'Accepted; the remote is always asked.', hidden: true },
  ],
  examples: ['cairn data status', 'cairn data status --granular --json', 'cairn data status --not-in-remote'],
  run: (context, args, options) =>
    withSession(context, 'cairn data status', async (session) => {
      const unborn = session.repo.git !== undefined && session.repo.git.head() === undefined
      const status = await look(session, context, args, options)
      if (options['json'] === true) context.report({ type: 'output', text: formatJson(dataStatusJson(status)) })
      else context.report({ type: 'result', text: dataStatusText(status, unborn) })
    }),
}

async function look(session: Session, context: Context, args: readonly string[], options: Options): Promise<DataStatus> {
  const { repo, workspace, signal } = session
  const untracked = wantsUntracked(options)
  const [granular, unchanged] = [options['granular'] === true, options['unchanged'] === true]
  const git = repo.git && readGitStatus(repo.git, { untracked, signal })
  // Looked at while git works; when something else fails first, its own failure is of no interest.
  git?.catch(() => undefined)
  const stages = await session.load()
  const before = repo.git?.head() === undefined ? [] : await loadStages(revisionTree(repo, 'HEAD'))
  const meant = targetFilter(session, [stages, before], args)
  const how = { granular, unchanged, isMeant: meant.path }
  const outs = cachedOuts(stages).filter((out) => meant.out(out))
  const head = recordedSnapshot(
    cachedOuts(before).filter((out) => meant.out(out)),
    workspace.cache,
  )
  const recorded = recordedSnapshot(outs, workspace.cache)
  const standing = await standingSnapshot(outs, workspace)
  const committed = repo.git && compareSnapshots(head, recorded, how)
  const uncommitted = compareSnapshots(recorded, standing, how)
  const found = await git
  return {
    notInCache: notInCache(recorded, session, granular)
      .filter((row) => meant.path(row.path))
      .map(shown),
    notInRemote:
      options['notInRemote'] === true
        ? await notInRemote(session, context, { outs, recorded, options, isMeant: meant.path })
        : [],
    committed,
    uncommitted,
    untracked: (found?.untracked ?? []).map((file) => path.relative(context.cwd, path.join(repo.git?.root ?? '', file))),
    unchanged: unchanged ? unchangedIn(committed, uncommitted) : [],
    dirty: found?.dirty ?? false,
  }
}

function wantsUntracked(options: Options): boolean {
  const mode = options['untrackedFiles']
  if (mode === undefined || mode === 'no') return false
  if (mode === true || mode === 'all') return true
  throw new CairnError('USAGE', `argument --untracked-files: invalid choice: '${String(mode)}' (choose from 'no', 'all')`)
}

interface Meant {
  out(out: Out): boolean
  path(file: string): boolean
}

/** A target may be of the workspace's stages, or of HEAD's when it was removed since. */
function targetFilter(session: Session, sides: readonly Stage[][], args: readonly string[]): Meant {
  if (args.length === 0) return { out: () => true, path: () => true }
  const paths = args.flatMap((arg) => pathsOf(session, sides, arg))
  return {
    out: (out) => paths.some((wanted) => overlaps(out.path, wanted)),
    path: (file) => paths.some((wanted) => isAtOrBelow(file, wanted)),
  }
}

function pathsOf({ cwd, report }: Session, sides: readonly Stage[][], arg: string): string[] {
  let why = ''
  for (const stages of sides) {
    try {
      return findTargets(stages, [arg], cwd, { recursive: true }).flatMap(({ stage, out, inside }) =>
        out ? [inside === undefined ? out.path : `${out.path}/${inside}`] : stage.outs.map((each) => each.path),
      )
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      why ||= error.message
    }
  }
  report({ type: 'warning', text: why })
  return []
}

/** Files of folders only when each is looked at by itself, as dvc does. */
function notInCache(recorded: Snapshot, { workspace }: Session, granular: boolean): Row[] {
  if (granular) return missingOf(recorded, workspace)
  return missingOf(new Map([...recorded].map(([out, { digest }]) => [out, { digest }])), workspace)
}

function unchangedIn(committed: SnapshotDiff | undefined, uncommitted: SnapshotDiff): string[] {
  const before = committed && new Set(committed.unchanged.map((row) => row.path))
  return uncommitted.unchanged.filter((row) => !before || before.has(row.path)).map(shown)
}

async function notInRemote(
  { repo, workspace }: Session,
  context: Context,
  request: { outs: readonly Out[]; recorded: Snapshot; options: Options; isMeant: (path: string) => boolean },
): Promise<string[]> {
  const { byRemote, chosenRemote, transferOptions, withRemote } = await import('./transfer.ts')
  const { outs, recorded, options, isMeant } = request
  const granular = options['granular'] === true
  const outputs = outs.flatMap(({ path: file, recorded: own, push, remote }) =>
    own && push ? [{ path: file, digest: own.digest, ...(remote !== undefined && { remote }) }] : [],
  )
  const lacking: Row[] = []
  for (const [name, group] of byRemote(outputs, chosenRemote(options))) {
    const rows = group.flatMap(({ path: file, digest }): Row[] => {
      const entry = recorded.get(file)
      return [{ path: file, digest }, ...((granular && isTree(digest) && entry && rowsInside(file, entry)) || [])]
    })
    await withRemote(repo, name, context, workspace.cache, async (remote) => {
      const missing = await remote.findMissingFiles(
        [...new Set(rows.map((row) => row.digest))],
        transferOptions(context, options),
      )
      lacking.push(...rows.filter((row) => missing.has(row.digest)))
    })
  }
  return lacking
    .filter((row) => isMeant(row.path))
    .map(shown)
    .toSorted()
}
