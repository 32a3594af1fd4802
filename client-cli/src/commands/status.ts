import { CairnError, isCode } from '@cairn/protocol/error'
import type { Command, Options } from '../command.ts'
import { addressFrom, findTargets, type Target } from '../pipeline/find-targets.ts'
import { observe } from '../pipeline/observe.ts'
import type { Out, Stage } from '../pipeline/stage.ts'
import { changesOf, type Change } from '../pipeline/staleness.ts'
import { statusOf, statusText } from '../pipeline/status-text.ts'
import { formatJson } from '../report/json.ts'
import { withSession, type Session } from './session.ts'

const CLOUD_ONLY = ['remote', 'allBranches', 'allTags', 'allCommits', 'jobs'] as const

export const command: Command = {
  name: 'status',
  summary: 'Print what changed since the last run; with -c, what the remote lacks.',
  description: 'Exits with 0. With -q prints nothing and exits with 1 when something changed.',
  arguments: [{ name: '[target...]', summary: 'Stages, stage files or outputs.' }],
  options: [
    { flags: '-c, --cloud', summary: 'Compare the cache with the remote.' },
    { flags: '-r, --remote <name>', summary: 'The remote to compare with.' },
    { flags: '-a, --all-branches', summary: 'With -c: of every branch too.' },
    { flags: '-T, --all-tags', summary: 'With -c: of every tag too.' },
    { flags: '-A, --all-commits', summary: 'With -c: of every commit too.' },
    { flags: '-d, --with-deps', summary: 'Also what the targets depend on.' },
    { flags: '-R, --recursive', summary: 'A folder stands for every stage below it.' },
    { flags: '-j, --jobs <n>', summary: 'With -c: how many requests at a time.' },
    { flags: '--json', summary: 'Print it for programs.' },
    { flags: '--no-updates', summary: 'Accepted; imports are not asked for updates.', hidden: true },
  ],
  failureExit: 1,
  examples: ['cairn status', 'cairn status train.dvc', 'cairn status -c'],
  async run(context, args, options) {
    if (options['cloud'] === true || options['remote'] !== undefined) {
      const { printCloudStatus } = await import('./cloud-status.ts')
      return printCloudStatus(context, args, options)
    }
    refuseCloudOptions(options)
    return withSession(context, ['cairn', 'status', ...args].join(' '), async (session) => {
      const stages = await session.load()
      const status = statusOf(await changedStages(session, stages, args, options), session.cwd)
      const clean = Object.keys(status).length === 0
      if (context.quiet) return clean ? 0 : 1
      if (options['json'] === true) context.report({ type: 'output', text: formatJson(status) })
      else context.report({ type: 'result', text: clean ? cleanText(stages) : statusText(status) })
      return 0
    })
  },
}

function refuseCloudOptions(options: Options): void {
  const given = CLOUD_ONLY.filter((name) => options[name] !== undefined && options[name] !== false)
  if (given.length === 0) return
  const flags = given.map((name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`)
  throw new CairnError('COMMAND_FAILED', `The following options are meaningless for local status: ${flags.join(', ')}`, {
    hint: 'Add -c to compare with a remote.',
  })
}

async function changedStages(
  { workspace, report, cwd }: Session,
  stages: readonly Stage[],
  args: readonly string[],
  options: Options,
): Promise<Array<{ stage: Stage; changes: Change[] }>> {
  const targets = targetsOf(stages, args, cwd, options)
  const rows = []
  for (const { stage, out } of targets) {
    if (stage.frozen) {
      const text = `stage: '${addressFrom(stage, cwd)}' is frozen. Its dependencies are not going to be shown in the status output.`
      report({ type: 'warning', text })
    }
    const looked = out ? onlyOut(stage, out) : stage
    rows.push({ stage, changes: changesOf(looked, await observe(workspace, looked)) })
  }
  return rows
}

/** A target that is nowhere is a failure of this command, in dvc's book with 1. */
function targetsOf(stages: readonly Stage[], args: readonly string[], cwd: string, options: Options): Target[] {
  const find = { recursive: options['recursive'] === true, withDeps: options['withDeps'] === true }
  try {
    return findTargets(stages, args, cwd, find)
  } catch (cause) {
    if (!isCode(cause, 'FAILED') || !(cause instanceof CairnError)) throw cause
    throw new CairnError('COMMAND_FAILED', cause.message, { cause, ...(cause.hint !== undefined && { hint: cause.hint }) })
  }
}

/** A target that names an output does not ask about the stage's other outputs. */
const onlyOut = ({ md5: _, ...stage }: Stage, out: Out): Stage => ({ ...stage, outs: [out] })

const cleanText = (stages: readonly Stage[]): string =>
  stages.length > 0
    ? 'Data and pipelines are up to date.'
    : "There are no data or pipelines tracked in this project yet.\n'cairn add FILE' tracks a file, 'cairn run' makes a stage."
