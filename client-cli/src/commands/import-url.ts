import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { makeFolders } from '../io/make-folders.ts'
import { isUrl } from '../pipeline/stage-path.ts'
import type { Dep } from '../pipeline/stage.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { IMPORT_OPTIONS, importInWords } from './import.ts'
import { importStage, placeFor, refuseStanding } from './import-target.ts'
import { bringImport, fateOf, writeImport } from './imports.ts'
import { type Session, withSession } from './session.ts'
import { hintToTrack } from './track-hint.ts'

export const command: Command = {
  name: 'import-url',
  summary: 'Take a file or folder from a url or a path, and remember where it came from.',
  description:
    "'cairn update' brings what it has become. Unlike what 'cairn import' brings, it is pushed to this repository's remote.",
  arguments: [
    { name: '<url>', summary: 'A path, http(s)://…, s3://…, or remote://NAME/path.' },
    { name: '[out]', summary: 'Where it goes. Default: its own name, in this folder.' },
  ],
  options: [
    ...(IMPORT_OPTIONS ?? []),
    { flags: '--to-remote', summary: 'Send it to the remote, and bring nothing into the workspace.' },
    { flags: '-r, --remote <name>', summary: 'With --to-remote: the remote to use instead of the default one.' },
  ],
  examples: ['cairn import-url https://example.org/iris.csv', 'cairn import-url /mnt/scans/2024 data/scans'],
  run: (context, args, options) =>
    withSession(context, ['cairn', 'import-url', ...args].join(' '), async (session) => {
      const [url = '', out] = args
      refuseCombinations(options)
      const prefix = `failed to import ${url}. You could also try downloading it manually, and adding it with \`cairn add\`. - `
      await importInWords(prefix, () =>
        withRepoLock(session.repo, session.signal, () => importUrl(session, context, { url, out, options })),
      )
      hintToTrack(session.repo, session.touched, context)
    }),
}

function refuseCombinations(options: Options): void {
  const { toRemote, exec, download, remote } = options
  if (toRemote === true && (exec === false || download === false))
    throw new CairnError('COMMAND_FAILED', '--no-exec/--no-download cannot be combined with --to-remote')
  if (toRemote !== true && remote !== undefined)
    throw new CairnError('COMMAND_FAILED', "--remote can't be used without --to-remote")
}

async function importUrl(
  session: Session,
  context: Context,
  { url, out, options }: { url: string; out: string | undefined; options: Options },
): Promise<void> {
  const { repo } = session
  const place = placeFor(context.cwd, url, out)
  const fate = fateOf(options)
  const force = options['force'] === true
  if (fate !== 'to-remote') refuseStanding(context.cwd, place, force)
  const stage = importStage(repo, await session.load(), place, (wdir) => depOf(repo.root, context.cwd, url, wdir))
  const importing = { session, context, options, fate, force }
  const made = options['exec'] === false ? stage : await bringImport(importing, stage)
  makeFolders(path.dirname(place))
  writeImport(session, made)
}

/** A relative path is written relative to the .dvc file. */
function depOf(root: string, cwd: string, url: string, wdir: string): Dep {
  const extra = { hash: 'md5' }
  if (isUrl(url) || path.isAbsolute(url)) return { path: url, def: url, source: { url }, extra }
  const absolute = path.resolve(cwd, url)
  const def = path.relative(path.join(root, wdir), absolute).split(path.sep).join('/')
  return { path: path.relative(root, absolute).split(path.sep).join('/'), def, source: { url: def }, extra }
}
