import { md5Of } from '@cairn/protocol/digest'
import type { Command, Context } from '../command.ts'
import { carryOutMigration } from '../pipeline/migrate-files.ts'
import { type Migration, planMigration } from '../pipeline/migrate.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { withSession } from './session.ts'
import { hintToTrack } from './track-hint.ts'

export const command: Command = {
  name: 'migrate',
  summary: "Turn the stage files of 2019 into dvc.yaml and dvc.lock, which today's DVC reads.",
  description:
    'No stage is run. Recorded content is hashed anew under today’s names, from the workspace or the cache; when any of it is in ' +
    'neither, it is listed, nothing is changed and the exit code is 1. May be interrupted and run again.',
  options: [{ flags: '--dry-run', summary: 'Print what would be done, and do nothing.' }],
  examples: ['cairn migrate --dry-run', 'cairn migrate'],
  async run(context, _args, options) {
    return withSession(context, 'migrate', async ({ repo, load, workspace }) =>
      withRepoLock(repo, context.signal, async () => {
        const plan = await planMigration(await load(), workspace, context.signal)
        if (plan.missing.length > 0) return reportMissing(plan, context)
        reportSteps(plan, context)
        if (options['dryRun'] === true || plan.steps.length === 0) return
        const changed = await carryOutMigration(repo, workspace, plan, context.signal)
        hintToTrack(repo, changed, context)
      }),
    )
  },
}

function reportMissing({ missing }: Migration, { report }: Context): number {
  for (const { stage, path, digest } of missing) {
    report({ type: 'warning', text: `'${path}' of '${stage}' (${md5Of(digest)}) is neither in the workspace nor in the cache` })
  }
  report({
    type: 'note',
    text: `ERROR: nothing was migrated: ${missing.length} ${missing.length === 1 ? 'entry' : 'entries'} cannot be hashed anew`,
  })
  report({
    type: 'note',
    text: `Get what is missing with 'cairn fetch' or 'git checkout', or run the stage again with 'cairn repro'.`,
  })
  return 1
}

function reportSteps({ steps, notes }: Migration, { report }: Context): void {
  if (steps.length === 0) report({ type: 'result', text: 'No stage files of 2019 in this repository.' })
  for (const { before, after } of steps) {
    const becomes = after.name === undefined ? `'${after.file}'` : `stage '${after.name}' in '${after.file}'`
    report({ type: 'result', text: `Migrating '${before.file}' to ${becomes}` })
  }
  for (const text of notes) report({ type: 'note', text })
}
