import { cp } from 'node:fs/promises'
import { constants, existsSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Options } from '../command.ts'
import { type Addition, planAdditions } from '../pipeline/plan-add.ts'
import { recordedOf } from '../pipeline/run-stage.ts'
import type { Stage } from '../pipeline/stage.ts'
import { pushOutputs } from '../transfer/push.ts'
import { openWorkspace } from '../workspace/open.ts'
import type { Session } from './session.ts'
import { failForLeft, transferOptions, withRemote } from './transfer.ts'
import type { Context } from '../command.ts'
import { expandGlob } from '../io/glob.ts'
import { makeFolders } from '../io/make-folders.ts'

/** The paths that patterns stand for; `.dvc` files and the like, which can never be added, are passed over. @throws CairnError COMMAND_FAILED */
export function expandTargets(cwd: string, patterns: readonly string[]): string[] {
  const found = patterns.flatMap((pattern) => expandGlob(cwd, pattern)).filter((file) => !isOwnFile(file))
  if (found.length === 0)
    throw new CairnError('COMMAND_FAILED', `Glob [${patterns.map((pattern) => `'${pattern}'`).join(', ')}] has no matches.`)
  return [...new Set(found)]
}

const isOwnFile = (file: string): boolean =>
  file.endsWith('.dvc') || ['dvc.yaml', 'dvc.lock', '.gitignore', '.dvcignore'].includes(path.basename(file))

/** Where `--out` puts a source: into it when it is a folder. Relative as it was given. */
export function destinationOf(cwd: string, source: string, out: string | undefined): string {
  if (out === undefined) return isBelow(cwd, source) ? source : path.basename(source)
  const isFolder = statSync(path.resolve(cwd, out), { throwIfNoEntry: false })?.isDirectory() === true
  return isFolder || out.endsWith('/') ? path.join(out, path.basename(source)) : out
}

const isBelow = (cwd: string, source: string): boolean =>
  !path.isAbsolute(source) && !path.normalize(path.join(cwd, source)).startsWith('..')

function refuseTaken(absolute: string, shown: string, force: boolean): void {
  if (force || !existsSync(absolute)) return
  throw new CairnError('COMMAND_FAILED', `The file '${shown}' already exists locally. \nTo override it, re-run with '--force'.`)
}

/** Copies a source to where it shall be tracked. It appears there whole; what was there goes only with force. */
export async function copyIn(
  session: Session,
  context: Context,
  { source, out }: { source: string; out: string },
  options: Options,
): Promise<string> {
  const from = sourcePath(context, source)
  const target = destinationOf(context.cwd, source, out)
  const absolute = path.resolve(context.cwd, target)
  refuseTaken(absolute, target, options['force'] === true)
  if (absolute === from || absolute.startsWith(from + path.sep))
    throw new CairnError('COMMAND_FAILED', `'${target}' is the source itself, or inside of it`)
  // Refused before anything is copied.
  planAdditions(session.repo, await session.load(), { cwd: session.cwd, targets: [target], file: undefined, absent: true })
  mkdirSync(session.repo.tmpDir, { recursive: true })
  const folder = mkdtempSync(path.join(session.repo.tmpDir, 'add-'))
  try {
    const draft = path.join(folder, 'draft')
    await cp(from, draft, { recursive: true, dereference: true, mode: constants.COPYFILE_FICLONE })
    session.signal.throwIfAborted()
    makeFolders(path.dirname(absolute))
    replace(draft, absolute, path.join(folder, 'before'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return target
}

/** What was there goes aside first, for a folder cannot be renamed over; it comes back when the rest fails. */
function replace(draft: string, target: string, aside: string): void {
  const stands = lstatSync(target, { throwIfNoEntry: false }) !== undefined
  if (stands) renameSync(target, aside)
  try {
    renameSync(draft, target)
  } catch (error) {
    if (stands) renameSync(aside, target)
    throw error
  }
}

function sourcePath(context: Context, source: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source))
    throw new CairnError('COMMAND_FAILED', `'${source}': only files and folders of this machine can be added`, {
      hint: `See 'cairn import-url'.`,
    })
  const from = path.resolve(context.cwd, source)
  try {
    statSync(from)
    return from
  } catch (error) {
    if (!isCode(error, 'ENOENT', 'ENOTDIR')) throw error
    throw new CairnError('COMMAND_FAILED', `[Errno 2] No such file or directory: '${from}'`, { cause: error })
  }
}

/**
 * Sends a source to the remote without a trace in the cache or the workspace, but for the stage that records it. Needs room for
 * a copy in `.dvc/tmp` meanwhile, unless the file system can share blocks.
 */
export async function sendAway(session: Session, context: Context, source: string, options: Options): Promise<Stage> {
  const { repo, signal, report } = session
  const from = sourcePath(context, source)
  const target = destinationOf(context.cwd, source, options['out'] as string | undefined)
  if (options['out'] !== undefined) refuseTaken(path.resolve(context.cwd, target), target, options['force'] === true)
  const stages = await session.load()
  const [addition] = planAdditions(repo, stages, { cwd: session.cwd, targets: [target], file: undefined, absent: true })
  if (addition === undefined || addition.inside !== undefined)
    throw new CairnError('COMMAND_FAILED', `'${target}' is inside of a tracked folder: --to-remote adds whole outputs`)
  mkdirSync(repo.tmpDir, { recursive: true })
  const folder = mkdtempSync(path.join(repo.tmpDir, 'to-remote-'))
  const aside = openWorkspace(
    { ...repo, tmpDir: folder, cacheDir: path.join(folder, 'cache'), linkTypes: ['reflink', 'copy'] },
    { signal, report },
  )
  try {
    const content = await aside.save(from, { kind: 'data', cache: true, relink: false })
    const outputs = [{ path: addition.out.path, digest: content.digest }]
    await withRemote(repo, options['remote'] as string | undefined, context, aside.cache, async (remote) => {
      const { left } = await pushOutputs({ remote, cache: aside.cache, outputs, options: transferOptions(context, options) })
      failForLeft(context, left, 'upload')
    })
    return withRecorded(addition, content)
  } finally {
    aside.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function withRecorded({ stage, out }: Addition, content: Parameters<typeof recordedOf>[0]): Stage {
  const recorded = recordedOf(content)
  return { ...stage, outs: stage.outs.map((each) => (each.path === out.path ? { ...each, recorded } : each)) }
}
