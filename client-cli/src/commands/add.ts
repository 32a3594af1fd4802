import { CairnError } from '@cairn/protocol/error'
import type { Command, Options } from '../command.ts'
import { type Addition, planAdditions } from '../pipeline/plan-add.ts'
import { recordedOf } from '../pipeline/run-stage.ts'
import { writeStage } from '../pipeline/save-stage.ts'
import { addInside } from '../pipeline/add-inside.ts'
import type { Stage } from '../pipeline/stage.ts'
import { addToGitIgnore, removeFromGitIgnore } from '../repo/git-ignore.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { type Session, withSession } from './session.ts'
import { hintToTrack } from './track-hint.ts'

export const command: Command = {
  name: 'add',
  summary: 'Keep files or folders in the cache, and a .dvc file for Git beside each.',
  description:
    'Added again, a path is taken up as it is now; a path inside of a tracked folder updates that folder. All targets are checked before the first is added.',
  arguments: [{ name: '<target...>', summary: 'Files and folders.' }],
  options: [
    { flags: '--file <name>', summary: 'The .dvc file to write, for a single target. Default: <target>.dvc' },
    { flags: '-f, --force', summary: "Accepted; 'add -f NAME.dvc TARGET', as of 2019, is the same as --file.", hidden: true },
    { flags: '--no-commit', summary: 'Write the .dvc file, but leave the cache alone until cairn commit.' },
    { flags: '--no-relink', summary: 'Leave the files as they are, whatever kind of link is configured.' },
  ],
  examples: ['cairn add data', 'cairn add images/cats model.h5', 'cairn add --file labels.dvc data/labels.csv'],
  run: (context, args, options) =>
    withSession(context, ['cairn', 'add', ...args].join(' '), async (session) => {
      const { targets, file } = namedFile(args, options)
      await withRepoLock(session.repo, session.signal, async () => {
        const additions = planAdditions(session.repo, await session.load(), { cwd: session.cwd, targets, file })
        for (const addition of additions) await add(session, addition, options)
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

async function add(session: Session, addition: Addition, options: Options): Promise<void> {
  const { workspace, repo, touched } = session
  const save = { kind: 'data', cache: options['commit'] !== false, relink: options['relink'] !== false } as const
  const recorded =
    addition.inside === undefined
      ? recordedOf(await workspace.save(addition.out.path, { ...save, previous: addition.out.recorded?.digest }))
      : await addInside(workspace, addition.out, addition.inside, save)
  const stage: Stage = {
    ...addition.stage,
    outs: addition.stage.outs.map((out) => (out.path === addition.out.path ? { ...out, recorded } : out)),
  }
  const ignoreFile = addToGitIgnore(repo, addition.out.path)
  try {
    for (const written of writeStage(repo, stage)) touched.add(written)
  } catch (error) {
    if (ignoreFile !== undefined) removeFromGitIgnore(repo, addition.out.path)
    throw error
  }
  if (ignoreFile !== undefined) touched.add(ignoreFile)
}
