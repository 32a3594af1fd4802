import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { confirming, jobsOf, reproChoices } from './repro-choices.ts'
import { explainJson, explainText } from '../pipeline/explain-text.ts'
import { explainPlan } from '../pipeline/explain.ts'
import { buildGraph, type Graph } from '../pipeline/graph.ts'
import { reproduce, type Reproduced, type ReproduceOptions } from '../pipeline/reproduce.ts'
import { stageWords } from '../pipeline/stage-words.ts'
import type { Stage } from '../pipeline/stage.ts'
import type { Report } from '../report/event.ts'
import { planStages, SELECTION_OPTIONS } from './select-stages.ts'
import { withSession, type Session } from './session.ts'
import { hintToTrack } from './track-hint.ts'

export const command: Command = {
  name: 'repro',
  summary: 'Run the stages whose deps, params, outs or command changed, and what depends on them.',
  description:
    "Without targets: every stage of this folder's dvc.yaml, else Dvcfile, else every stage of the repository. A stage's result is recorded as soon as its command has succeeded: after a failure or an interruption the next repro goes on from there.",
  arguments: [{ name: '[target...]', summary: 'Stages, stage files or outputs; what they depend on comes along.' }],
  options: [
    { flags: '-f, --force', summary: 'Run every stage, changed or not.' },
    { flags: '-i, --interactive', summary: 'Ask before each stage that changed.' },
    ...SELECTION_OPTIONS,
    { flags: '--force-downstream', summary: 'Run everything that depends on a stage that ran.' },
    { flags: '-j, --jobs <n>', summary: 'Run up to n stages side by side that do not depend on each other. Default 1.' },
    { flags: '--dry', summary: 'Only print what would be run.' },
    { flags: '--explain', summary: 'Only print why each stage would run, down to the file and the param.' },
    { flags: '--json', summary: 'With --explain: print JSON.' },
    { flags: '-k, --keep-going', summary: 'After a failure go on with what does not depend on it.' },
    { flags: '--ignore-errors', summary: 'After a failure go on with everything.' },
    { flags: '--pull', summary: 'Bring missing data from the remote instead of making it again.' },
    { flags: '--allow-missing', summary: 'What is merely absent does not count as changed.' },
    { flags: '--no-commit', summary: 'Do not save outs into the cache.' },
    { flags: '--no-run-cache', summary: 'Run also what was run before on the very same deps.' },
    { flags: '-m, --metrics', summary: 'Show the metrics afterwards.' },
  ],
  examples: ['cairn repro', 'cairn repro -j 4', 'cairn repro --explain train', "cairn repro --glob 'train@*'"],
  async run(context, args, options) {
    const choices = choicesOf(context, options)
    await withSession(context, ['cairn', 'repro', ...args].join(' '), async (session) => {
      if (options['explain'] === true) return explain(session, args, options)
      const words = (report: Report) => stageWords(report, session.cwd)
      const planWork = async () => ({ ...(await plan(session, args, options)), locks: session.locks, words })
      const pulling = options['pull'] === true ? await import('./pull-stage.ts') : undefined
      if (choices.runCache !== false && choices.dry !== true) await pulling?.pullRuns(session, context)
      const pull = pulling?.pullFromRemote(session, context)
      const done = await reproduce(session, planWork, { ...choices, pull })
      if (done.failed.length === 0) hintToTrack(session.repo, session.touched, context)
      conclude(session, done)
    })
    if (options['metrics'] === true) return (await import('./metrics-show.ts')).command.run(context, [], {})
  },
}

async function plan(session: Session, args: readonly string[], options: Options): Promise<{ graph: Graph; plan: Stage[] }> {
  const graph = buildGraph(await session.load(), { cutFrozen: true })
  return { graph, plan: planStages(session, graph, args, options) }
}

/** @throws CairnError USAGE */
function choicesOf({ signal }: Context, options: Options): ReproduceOptions {
  if (options['keepGoing'] === true && options['ignoreErrors'] === true)
    throw new CairnError('USAGE', 'argument --ignore-errors: not allowed with argument -k/--keep-going')
  return {
    ...reproChoices(options),
    ...confirming(options, signal),
    dry: options['dry'] === true,
    commit: options['commit'] !== false,
    runCache: options['runCache'] !== false,
    // What is asked, and what is only told, comes one by one.
    jobs: options['interactive'] === true || options['dry'] === true ? 1 : jobsOf(options),
  }
}

async function explain(session: Session, args: readonly string[], options: Options): Promise<void> {
  const explained = await explainPlan(session.workspace, await plan(session, args, options), {
    force: options['force'] === true,
    allowMissing: options['allowMissing'] === true,
  })
  const text = (options['json'] === true ? explainJson : explainText)(explained, session.cwd)
  if (text !== '') session.report({ type: 'output', text })
}

function conclude({ report }: Session, { plan, changed, failed }: Reproduced): void {
  if (failed.length > 0)
    throw new CairnError('STAGE_FAILED', `failed to reproduce ${failed.map((stage) => `'${stage.address}'`).join(', ')}`)
  if (changed.length === 0) {
    const text = plan.some((stage) => stage.kind === 'legacy')
      ? 'Pipeline is up to date. Nothing to reproduce.'
      : 'Data and pipelines are up to date.'
    report({ type: 'result', text })
  } else {
    report({ type: 'result', text: 'Use `cairn push` to send your updates to remote storage.' })
  }
}
