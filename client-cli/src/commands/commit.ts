import { CairnError, isCode } from '@cairn/protocol/error'
import { isLegacy } from '@cairn/protocol/digest'
import type { Command, Options } from '../command.ts'
import { askYesNo } from '../io/ask.ts'
import { findTargets } from '../pipeline/find-targets.ts'
import { observe } from '../pipeline/observe.ts'
import { recordInputs, recordOuts } from '../pipeline/run-stage.ts'
import { writeAndTell } from '../pipeline/stage-turn.ts'
import { stageWords } from '../pipeline/stage-words.ts'
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
  failureExit: 1,
  examples: ['cairn commit', 'cairn commit -f train'],
  run: (context, args, options) =>
    withSession(context, ['cairn', 'commit', ...args].join(' '), (session) =>
      withRepoLock(session.repo, session.signal, async () => {
        const find = { recursive: options['recursive'] === true, withDeps: options['withDeps'] === true }
        const stages = await session.load()
        // One by one: what an earlier target committed counts for the next.
        for (const target of args.length > 0 ? args.map((one) => [one]) : [[]]) {
          await inWordsOfCommit(target[0], async () => {
            for (const { stage, out } of findTargets(stages, target, session.cwd, find))
              await commit(session, stage, out, options)
          })
        }
      }),
    ),
}

async function inWordsOfCommit(target: string | undefined, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof CairnError) || isCode(error, 'CANCELLED', 'LOCKED', 'STORAGE_FULL')) throw error
    const what = target === undefined ? 'failed to commit' : `failed to commit ${target}`
    const { code, message, hint } = error
    throw new CairnError(code, `${what} - ${message}`, { cause: error, exit: 1, ...(hint !== undefined && { hint }) })
  }
}

async function commit(session: Session, stage: Stage, only: Out | undefined, options: Options): Promise<void> {
  const relink = options['relink'] !== false
  if (options['force'] === true || !(await isAsRecorded(session, stage))) {
    const inputs = await recordInputs(session.workspace, stage)
    const recorded = await recordOuts(session, inputs, { commit: true, relink })
    return writeAndTell(session, stageWords(session.report, session.cwd), recorded)
  }
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

/**
 * What stands there must be what is recorded, unless the person agrees that it is recorded anew: it need not be in the cache,
 * that is what commit is for. @throws CairnError COMMAND_FAILED
 */
async function isAsRecorded({ workspace, signal }: Session, stage: Stage): Promise<boolean> {
  const seen = await observe(workspace, stage)
  const outs = new Map([...seen.outs].map(([file, { digest }]) => [file, { digest, cached: true }]))
  const changes = changesOf(stage, { ...seen, outs }).filter((change) => change.kind !== 'always')
  if (changes.length === 0) return true
  if (await askYesNo(`'${stage.address}' is not as its last run left it. Record it as it is now?`, signal)) return false
  throw new CairnError('COMMAND_FAILED', `unable to commit changed stage: '${stage.address}'. Use \`-f|--force\` to force.`)
}
