import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { findTargets } from '../pipeline/find-targets.ts'
import { stageMd5 } from '../pipeline/stage-md5.ts'
import type { Stage } from '../pipeline/stage.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { locateUrl, openUrlSource } from '../remote/open-source.ts'
import { bringContent } from './foreign-content.ts'
import { withForeign } from './foreign-options.ts'
import { importInWords } from './import.ts'
import { bringImport, fateOf, foldersFor, type Importing, isImport, repoOf, withLook, writeImport } from './imports.ts'
import { type Session, withSession } from './session.ts'

export const command: Command = {
  name: 'update',
  summary: 'Bring what imports have become where they came from.',
  description: 'An import that follows a branch or tag is brought to what that names now; --rev makes it follow another.',
  arguments: [{ name: '<target...>', summary: '.dvc files of imports.' }],
  options: [
    { flags: '--rev <commit>', summary: 'A branch, tag or commit to follow from now on.' },
    { flags: '-R, --recursive', summary: 'A folder stands for every import below it.' },
    { flags: '--no-download', summary: 'Only take down what it stands at now.' },
    { flags: '--to-remote', summary: 'Send it to the remote, and bring nothing into the workspace.' },
    { flags: '-r, --remote <name>', summary: 'With --to-remote: the remote to use instead of the default one.' },
    { flags: '-j, --jobs <n>', summary: 'How many bodies at a time.' },
  ],
  examples: ['cairn update data.dvc', 'cairn update --rev v3 models/weights.h5.dvc'],
  run: (context, args, options) =>
    withSession(context, ['cairn', 'update', ...args].join(' '), (session) =>
      importInWords('failed update data - ', () =>
        withRepoLock(session.repo, session.signal, () => update(session, context, args, options)),
      ),
    ),
}

async function update(session: Session, context: Context, args: readonly string[], options: Options): Promise<void> {
  if (options['toRemote'] === true && options['download'] === false)
    throw new CairnError('FAILED', '--to-remote and --no-download cannot be combined')
  const recursive = options['recursive'] === true
  const found = findTargets(await session.load(), args, session.cwd, { recursive }).map(({ stage }) => stage)
  const stages = recursive ? found.filter(isImport) : found
  for (const stage of stages) refuseOther(stage, options)
  for (const stage of stages.filter((each) => !isImport(each)))
    context.report({ type: 'warning', text: `Could not update '${stage.outs[0]?.path}', it was never imported` })
  for (const stage of stages.filter(isImport))
    await updateOne({ session, context, options, fate: fateOf(options), force: true }, stage)
}

/** Added data has no source to bring it from: a word is enough, as dvc has it. */
function refuseOther(stage: Stage, options: Options): void {
  if (stage.deps.length === 0 && stage.cmd === undefined) return
  if (!isImport(stage)) throw new CairnError('FAILED', `update is not supported for '${stage.address}' that is not an import.`)
  if (options['rev'] !== undefined && repoOf(stage.deps[0]) === undefined)
    throw new CairnError(
      'FAILED',
      `'--rev' can only be given for imports from repositories, and '${stage.address}' comes from a url`,
    )
}

async function updateOne(importing: Importing, stage: Stage): Promise<void> {
  const { session, context, options } = importing
  const rev = options['rev'] as string | undefined
  const wanted = rev === undefined ? stage : following(stage, rev)
  const follows = rev === undefined || rev === repoOf(stage.deps[0])?.rev
  if (follows && stage.md5 === stageMd5(stage) && (await isCurrent(importing, wanted))) {
    context.report({ type: 'result', text: `'${stage.address}' didn't change, skipping` })
    return
  }
  writeImport(session, await bringImport(importing, wanted))
}

function following(stage: Stage, rev: string): Stage {
  const [dep] = stage.deps
  if (dep === undefined) return stage
  const { url, rev: _rev, rev_lock, ...rest } = dep.source?.repo ?? {}
  return { ...stage, deps: [{ ...dep, source: { ...dep.source, repo: { url, rev, rev_lock, ...rest } } }] }
}

/** True when what the import came from still is what was recorded. */
async function isCurrent(importing: Importing, stage: Stage): Promise<boolean> {
  const [dep] = stage.deps
  const recorded = stage.outs[0]?.recorded
  if (dep === undefined || recorded === undefined) return false
  const { session, context, options } = importing
  const source = repoOf(dep)
  if (source !== undefined) {
    const where = {
      context,
      options: { ...options, remote: undefined },
      from: foldersFor(importing, stage),
      workspace: false,
      rev: source.rev,
    }
    return withForeign(source.url, where, async (foreign) => {
      if (foreign.commit === source.commit) return true
      const reading = { foreign, cache: session.workspace.cache, context, tmpDir: session.repo.tmpDir }
      return (await bringContent(reading, dep.path)).digest === recorded.digest
    })
  }
  const url = await openUrlSource(locateUrl(session.repo, dep.path), context, session.repo)
  if (url === undefined) return (await session.workspace.contentOf(dep.path))?.digest === dep.recorded?.digest
  try {
    const look = await url.look(context.signal)
    if (look === undefined) return false
    const now = withLook(dep, look)
    return (
      now.recorded?.digest === dep.recorded?.digest &&
      now.source?.etag === dep.source?.etag &&
      now.source?.checksum === dep.source?.checksum &&
      now.extra?.['size'] === dep.extra?.['size']
    )
  } finally {
    await url.close()
  }
}
