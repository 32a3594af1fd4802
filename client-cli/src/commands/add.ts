import { isLegacy, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { addInside } from '../pipeline/add-inside.ts'
import { type Addition, planAdditions } from '../pipeline/plan-add.ts'
import { recordedOf } from '../pipeline/run-stage.ts'
import { writeStage } from '../pipeline/save-stage.ts'
import type { Out, Recorded, Stage } from '../pipeline/stage.ts'
import { addToGitIgnore, removeFromGitIgnore } from '../repo/git-ignore.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import type { SaveOptions } from '../workspace/workspace.ts'
import { type Session, withSession } from './session.ts'
import { hintToTrack } from './track-hint.ts'

export const command: Command = {
  name: 'add',
  summary: 'Keep files or folders in the cache, and a .dvc file for Git beside each.',
  description:
    'Added again, a path is taken up as it is now; a path inside of a tracked folder updates that folder, of which only the listing is needed. All targets are checked before the first is added.',
  arguments: [{ name: '<target...>', summary: 'Files and folders.' }],
  options: [
    { flags: '--file <name>', summary: 'The .dvc file to write, for a single target. Default: <target>.dvc' },
    { flags: '--glob', summary: 'Targets are patterns: *, ?, [a-z], and ** for any folders.' },
    { flags: '-o, --out <path>', summary: 'Copy the target, which may lie anywhere, to this path and track it there.' },
    { flags: '--to-remote', summary: 'Send the content to the remote, and keep it neither in the cache nor in the workspace.' },
    { flags: '-r, --remote <name>', summary: 'With --to-remote: the remote to send to.' },
    { flags: '-j, --remote-jobs <n>', summary: 'With --to-remote: how many bodies at a time.' },
    { flags: '-f, --force', summary: "With -o: replace what stands there. ('add -f NAME.dvc TARGET', as of 2019, is --file.)" },
    { flags: '--no-commit', summary: 'Write the .dvc file, but leave the cache alone until cairn commit.' },
    { flags: '--no-relink', summary: 'Leave the files as they are, whatever kind of link is configured.' },
  ],
  examples: [
    'cairn add data',
    'cairn add images/cats model.h5',
    "cairn add --glob 'data/**/*.csv'",
    'cairn add --out data/big.bin --to-remote /mnt/big.bin',
  ],
  run: (context, args, options) =>
    withSession(context, ['cairn', 'add', ...args].join(' '), async (session) => {
      const { targets, file } = namedFile(args, options)
      refuseMixes(targets, options)
      await withRepoLock(session.repo, session.signal, async () => {
        if (options['toRemote'] === true) return addToRemote(session, context, targets, options)
        const stages = await session.load()
        const wanted = await pathsOf(session, context, targets, options)
        const additions = planAdditions(session.repo, stages, { cwd: session.cwd, targets: wanted, file })
        for (const addition of additions) await add(session, context, addition, options)
      })
      hintToTrack(session.repo, session.touched, context)
    }),
}

function namedFile(args: readonly string[], options: Options): { targets: readonly string[]; file: string | undefined } {
  const [first = '', ...rest] = args
  const oldSyntax = options['force'] === true && first.endsWith('.dvc') && rest.length > 0
  const file = oldSyntax ? first : (options['file'] as string | undefined)
  const targets = oldSyntax ? rest : args
  if (file !== undefined && targets.length > 1)
    throw new CairnError('COMMAND_FAILED', "multiple targets can't be used with --file")
  return { targets, file }
}

function refuseMixes(targets: readonly string[], options: Options): void {
  const fail = (message: string) => new CairnError('COMMAND_FAILED', message)
  const given = (name: string) => options[name] !== undefined && options[name] !== false
  if (given('out') && given('glob')) throw fail("--glob option can't be used with --out")
  if (given('out') && targets.length > 1) throw fail("multiple targets can't be used with --out")
  if (given('out') && given('file')) throw fail("--file can't be used with --out")
  if (given('toRemote') && given('file')) throw fail("--file can't be used with --to-remote")
  if (given('toRemote') && options['commit'] === false) throw fail("--no-commit option can't be used with --to-remote")
  if (!given('toRemote') && given('remote')) throw fail("--remote can't be used without --to-remote")
  if (!given('toRemote') && given('remoteJobs')) throw fail("--remote-jobs can't be used without --to-remote")
}

/** What stands in the workspace already is the usual case, and loads nothing. */
async function pathsOf(
  session: Session,
  context: Context,
  targets: readonly string[],
  options: Options,
): Promise<readonly string[]> {
  const out = options['out'] as string | undefined
  if (out === undefined && options['glob'] !== true) return targets
  const { copyIn, expandTargets } = await import('./add-from.ts')
  if (out === undefined) return expandTargets(context.cwd, targets)
  return [await copyIn(session, context, { source: targets[0] ?? '', out }, options)]
}

async function addToRemote(session: Session, context: Context, targets: readonly string[], options: Options): Promise<void> {
  const { expandTargets, sendAway } = await import('./add-from.ts')
  const sources = options['glob'] === true ? expandTargets(context.cwd, targets) : targets
  for (const source of sources) {
    const stage = await inAddWords(() => sendAway(session, context, source, { ...options, jobs: options['remoteJobs'] }))
    for (const out of stage.outs) write(session, stage, out.path)
  }
}

/** A remote that is not there fails the command, as in dvc: it is no mistake in the configuration. */
async function inAddWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof CairnError) || error.code !== 'CONFIG') throw error
    throw new CairnError('COMMAND_FAILED', error.message, { cause: error })
  }
}

async function add(session: Session, context: Context, addition: Addition, options: Options): Promise<void> {
  const save = { kind: 'data', cache: options['commit'] !== false, relink: options['relink'] !== false } as const
  const recorded = await takeUp(session, context, addition, save)
  const stage: Stage = {
    ...addition.stage,
    outs: addition.stage.outs.map((out) => (out.path === addition.out.path ? { ...out, recorded } : out)),
  }
  write(session, stage, addition.out.path)
}

async function takeUp(session: Session, context: Context, { out, inside, kept }: Addition, save: SaveOptions): Promise<Recorded> {
  const { workspace } = session
  const previous = out.recorded?.digest
  if (inside !== undefined) {
    if (previous && isTree(previous) && !isLegacy(previous) && !workspace.cache.has(previous))
      await fetchTree(session, context, out)
    return addInside(workspace, out, inside, save)
  }
  // A record of DVC 0.x–2.x stays as it is until the content changes.
  const legacy = kept === true && previous !== undefined && isLegacy(previous)
  if (legacy && (await workspace.contentOf(out.path, { legacy, previous }))?.digest === previous)
    return { ...out.recorded, ...recordedOf(await workspace.save(out.path, { ...save, legacy, previous })) }
  return recordedOf(await workspace.save(out.path, { ...save, previous }))
}

/** Of a folder that is not here only the tree is needed to change an entry of it. */
async function fetchTree({ repo, workspace }: Session, context: Context, out: Out): Promise<void> {
  const { withRemote } = await import('./transfer.ts')
  const digest = out.recorded?.digest
  if (digest === undefined) return
  const { signal, report } = context
  try {
    await withRemote(repo, out.remote, context, workspace.cache, (remote) =>
      remote.fetch([digest], workspace.cache, { signal, report }),
    )
  } catch (cause) {
    if (!(cause instanceof CairnError) || signal.aborted) throw cause
    const message = `the listing of '${out.path}' is not in the cache, and cannot be fetched: ${cause.message}`
    throw new CairnError('COMMAND_FAILED', message, { cause })
  }
}

function write({ repo, touched }: Session, stage: Stage, location: string): void {
  const ignoreFile = addToGitIgnore(repo, location)
  try {
    for (const written of writeStage(repo, stage)) touched.add(written)
  } catch (error) {
    if (ignoreFile !== undefined) removeFromGitIgnore(repo, location)
    throw error
  }
  if (ignoreFile !== undefined) touched.add(ignoreFile)
}
