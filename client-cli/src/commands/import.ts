import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { makeFolders } from '../io/make-folders.ts'
import type { Dep } from '../pipeline/stage.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { FOREIGN_REMOTE_OPTIONS, pairsOf, REVISION } from './foreign-options.ts'
import { importStage, placeFor, refuseStanding } from './import-target.ts'
import { bringImport, fateOf, writeImport } from './imports.ts'
import { type Session, withSession } from './session.ts'
import { hintToTrack } from './track-hint.ts'

export const IMPORT_OPTIONS: Command['options'] = [
  { flags: '-f, --force', summary: 'Replace what stands in the place.' },
  { flags: '--no-exec', summary: 'Write the .dvc file only.' },
  { flags: '--no-download', summary: 'Write the .dvc file with what it stands at, but bring nothing.' },
  { flags: '-j, --jobs <n>', summary: 'How many bodies at a time.' },
]

export const command: Command = {
  name: 'import',
  summary: 'Take a file or folder out of another repository, and remember where it came from.',
  description:
    "What the other repository keeps with DVC or with Git. 'cairn update' brings what it has become; 'cairn pull' brings what the .dvc file says. Never pushed to this repository's remote.",
  arguments: [
    { name: '<url>', summary: 'The path or Git url of the other repository.' },
    { name: '<path>', summary: 'A file or folder in there.' },
  ],
  options: [
    { flags: '-o, --out <path>', summary: 'Where it goes. Default: its own name, in this folder.' },
    REVISION,
    ...IMPORT_OPTIONS,
    ...FOREIGN_REMOTE_OPTIONS,
  ],
  examples: [
    'cairn import https://example.org/models.git resnet/weights.h5',
    'cairn import ../datasets cats -o data/cats --rev v2',
  ],
  run: (context, args, options) =>
    withSession(context, ['cairn', 'import', ...args].join(' '), async (session) => {
      const [url = '', file = ''] = args
      await importInWords(`failed to import '${file}' from '${url}'. - `, () =>
        withRepoLock(session.repo, session.signal, () => importFrom(session, context, { url, file, options })),
      )
      hintToTrack(session.repo, session.touched, context)
    }),
}

/** A failed import exits with 1, whatever failed, and says what it was about. */
export async function importInWords(prefix: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof CairnError) || ['CANCELLED', 'USAGE', 'CONFIG'].includes(error.code)) throw error
    const { code, hint, data } = error
    throw new CairnError(code, prefix + error.message, { exit: 1, cause: error, ...(hint && { hint }), ...(data && { data }) })
  }
}

async function importFrom(
  session: Session,
  context: Context,
  { url, file, options }: { url: string; file: string; options: Options },
): Promise<void> {
  const place = placeFor(context.cwd, file, options['out'] as string | undefined)
  const force = options['force'] === true
  refuseStanding(context.cwd, place, force)
  const from = path.posix.normalize(file.replaceAll('\\', '/')).replace(/\/$/, '')
  const dep: Dep = { path: from, def: from, source: { repo: describeRepo(url, options) } }
  const stage = importStage(session.repo, await session.load(), place, () => dep)
  const importing = { session, context, options, fate: fateOf(options), force }
  const made = options['exec'] === false ? stage : await bringImport(importing, stage)
  makeFolders(path.dirname(place))
  writeImport(session, made)
}

function describeRepo(url: string, options: Options): Record<string, unknown> {
  const pairs = pairsOf(options['remoteConfig'], '--remote-config')
  const { rev, config, remote } = options
  const [name, set] = [remote as string | undefined, Object.fromEntries(pairs)]
  return {
    url,
    ...(rev !== undefined && { rev }),
    ...(config !== undefined && { config }),
    ...(pairs.length > 0 ? { remote: set } : name !== undefined && { remote: name }),
  }
}
