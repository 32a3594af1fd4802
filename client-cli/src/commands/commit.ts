import { CairnError } from '@cairn/protocol/error'
import { isLegacy } from '@cairn/protocol/digest'
import type { Command, Options } from '../command.ts'
import { findTargets } from '../pipeline/find-targets.ts'
import { observe } from '../pipeline/observe.ts'
import { recordInputs, recordOuts } from '../pipeline/run-stage.ts'
import { writeStage } from '../pipeline/save-stage.ts'
import { changesOf } from '../pipeline/staleness.ts'
import { linkKindOf, type Out, type Stage } from '../pipeline/stage.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { type Session, withSession } from './session.ts'

export const command: Command = {
  name: 'commit',
  summary: 'Take up what stands in the workspace, into the cache and the stage files.',
  description:
    'Without -f only what is recorded already is stored, as after add --no-commit. With -f the current content is recorded, whatever changed.',
  arguments: [{ name: '[target...]', summary: 'Stages, stage files or outputs.' }],
  options: [
    { flags: '-f, --force', summary: 'Record what changed.' },
    { flags: '-d, --with-deps', summary: 'Also what the targets depend on.' },
    { flags: '-R, --recursive', summary: 'A folder stands for every stage below it.' },
    { flags: '--no-relink', summary: 'Leave the files as they are, whatever kind of link is configured.' },
  ],
  examples: ['cairn commit', 'cairn commit -f train.dvc'],
  run: (context, args, options) =>
    withSession(context, ['cairn', 'commit', ...args].join(' '), (session) =>
      withRepoLock(session.repo, session.signal, async () => {
        const find = { recursive: options['recursive'] === true, withDeps: options['withDeps'] === true }
        for (const { stage, out } of findTargets(await session.load(), args, session.cwd, find))
          await commit(session, stage, out, options)
      }),
    ),
}

async function commit(session: Session, stage: Stage, only: Out | undefined, options: Options): Promise<void> {
  const relink = options['relink'] !== false
  if (options['force'] === true) {
    const inputs = await recordInputs(session.workspace, stage)
    writeStage(session.repo, await recordOuts(session, inputs, { commit: true, relink }))
    return
  }
  await refuseChanged(session, stage)
  for (const out of only ? [only] : stage.outs) {
    if (!out.cache) continue
    const legacy = out.recorded !== undefined && isLegacy(out.recorded.digest)
    await session.workspace.save(out.path, {
      kind: linkKindOf(stage, out),
      cache: true,
      relink,
      legacy,
      previous: out.recorded?.digest,
    })
  }
}

/** What stands there must be what is recorded: it need not be in the cache, that is what commit is for. */
async function refuseChanged({ workspace }: Session, stage: Stage): Promise<void> {
  const seen = await observe(workspace, stage)
  const outs = new Map([...seen.outs].map(([file, { digest }]) => [file, { digest, cached: true }]))
  const changes = changesOf(stage, { ...seen, outs }).filter((change) => change.kind !== 'always')
  if (changes.length === 0) return
  throw new CairnError(
    'COMMAND_FAILED',
    `failed to commit - unable to commit changed stage: '${stage.address}'. Use \`-f|--force\` to force.`,
  )
}
