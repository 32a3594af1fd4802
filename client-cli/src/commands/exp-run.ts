import { cpSync, existsSync, rmSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { inCopy } from '../experiments/aside.ts'
import { isSweep, overrideText, type Override, type Overrides, parseOverride, sweep } from '../experiments/override.ts'
import { argumentsOf, dequeue, enqueue, type Queued, queuedExperiments } from '../experiments/queue.ts'
import { baselineOf, checkName, randomName, refuseTaken } from '../experiments/refs.ts'
import { ARGUMENTS_FILE, type ReproArguments } from '../experiments/repro-arguments.ts'
import { runExperiment, type RunOptions, textsOf } from '../experiments/run.ts'
import { checkOutOutputs, experimentFiles } from '../experiments/standing.ts'
import { mapLimit } from '../io/limit.ts'
import { buildGraph } from '../pipeline/graph.ts'
import { pythonRepr } from '../pipeline/json-value.ts'
import { loadStages } from '../pipeline/load.ts'
import { openPathLocks } from '../pipeline/path-locks.ts'
import { stageWords } from '../pipeline/stage-words.ts'
import { gitPrefix, workingTree } from '../repo/file-tree.ts'
import { openGitWriter } from '../repo/git-writer.ts'
import type { Repo } from '../repo/repo.ts'
import type { Report } from '../report/event.ts'
import { openWorkspace } from '../workspace/open.ts'
import { type ExpSession, withExperiments } from './exp-session.ts'
import { confirming, jobsOf, reproChoices } from './repro-choices.ts'
import { rootRelative } from './root-relative.ts'
import { planStages, SELECTION_OPTIONS } from './select-stages.ts'
import type { Session } from './session.ts'

export const command: Command = {
  name: 'exp run',
  summary: 'Reproduce stages as an experiment: its outcome is a commit aside of every branch.',
  description:
    'Params can be set for it. Whatever fails, also by Ctrl-C, the workspace is what it was. With --queue the experiment is only kept, for --run-all or a worker of dvc.',
  arguments: [{ name: '[target...]', summary: 'Stages, stage files or outputs; what they depend on comes along.' }],
  options: [
    { flags: '-n, --name <name>', summary: "The experiment's name; a random one by default." },
    {
      flags: '-S, --set-param <[file:]key=value>',
      summary: 'Set a param: lr=0.1, p.json:a.b=2, +new=1, ~old; with --queue also 1,2 and range(1,5).',
      repeatable: true,
    },
    { flags: '--queue', summary: 'Keep the experiment for later.' },
    { flags: '--run-all', summary: 'Run every queued experiment, each in a copy of the repository.' },
    { flags: '-j, --jobs <n>', summary: 'With --run-all: how many at a time. Otherwise: how many stages at a time.' },
    { flags: '--temp', summary: 'Run in a copy of the repository, beside the workspace.' },
    { flags: '-m, --message <text>', summary: "The commit's message." },
    { flags: '-f, --force', summary: 'Run every stage, and replace an experiment of the same name.' },
    ...SELECTION_OPTIONS.filter(({ flags }) => flags !== '--glob'),
    { flags: '--force-downstream', summary: 'Run everything that depends on a stage that ran.' },
    { flags: '--dry', summary: 'Only print what would be run.' },
    {
      flags: '-k, --keep-going',
      summary: 'After a failure go on with what does not depend on it; the experiment fails in the end.',
    },
    { flags: '--ignore-errors', summary: 'After a failure go on with everything; the experiment does not fail for it.' },
    { flags: '--allow-missing', summary: 'What is merely absent does not count as changed.' },
    { flags: '--pull', summary: 'Bring what is missing from the remote, and the run cache, before it is made again.' },
    { flags: '-i, --interactive', summary: 'Ask before each stage.' },
    {
      flags: '-C, --copy-paths <path>',
      summary: 'With --temp: copy that into the copy too; it is not kept by Git.',
      repeatable: true,
    },
    { flags: '--no-hydra', summary: 'Accepted: params are set in their files only.', hidden: true },
  ],
  examples: [
    'cairn exp run -S lr=0.1',
    "cairn exp run --queue -S lr=0.1,0.2 -S 'epochs=range(1,4)'",
    'cairn exp run --run-all -j 4',
  ],
  run: (context, args, options) =>
    withExperiments(context, ['run', ...args].join(' '), async (session) => {
      if (options['runAll'] === true) return runAll(session, context, options)
      const overrides = overridesOf(session, context, options)
      if (options['queue'] === true && options['copyPaths'] !== undefined)
        throw new CairnError('FAILED', '--copy-paths is for --temp; a queued experiment has what Git and DVC keep')
      if (options['queue'] === true) return queue(session, args, overrides, options)
      if (overrides.some(isSweep)) throw new CairnError('FAILED', "Sweep overrides can't be used without `--queue`")
      return runOne(session, context, { args, overrides: sweep(overrides)[0] ?? new Map(), options })
    }),
}

function overridesOf(session: ExpSession, context: Context, options: Options): Override[] {
  const given = Array.isArray(options['setParam']) ? options['setParam'].map(String) : []
  return given.map(parseOverride).map((one) => ({ ...one, file: rootRelative(session.repo, context.cwd, one.file) }))
}

async function runOne(
  session: ExpSession,
  context: Context,
  { args, overrides, options }: { args: readonly string[]; overrides: Overrides; options: Options },
): Promise<void> {
  const { report, writer } = session
  const baseline = baselineOf(writer)
  const name = await nameFor(session, baseline, options)
  if (options['dry'] === true) return dryRun(session, args, options)
  const choices = { ...choicesOf(options), name, baseline, overrides }
  if (options['temp'] === true) {
    const texts = textsOf(session.repo, overrides)
    const tree = await writer.tree([...(await experimentFiles(session.repo)), ...texts.keys()], texts)
    const commit = await writer.commit(tree, [baseline], name)
    await runAside(session, context, commit, { args, choices: { ...choices, overrides: new Map() }, options })
  } else {
    // What cannot be set is told before anything is said to run.
    textsOf(session.repo, overrides)
    report({ type: 'result', text: `Reproducing experiment '${name}'` })
    await runExperiment(session, writer, planner(session, args, options), {
      ...choices,
      ...(await pulling(session, context, options)),
    })
  }
  report({ type: 'result', text: `\nRan experiment(s): ${name}` })
  report({
    type: 'result',
    text: options['temp'] === true ? TO_APPLY : 'Experiment results have been applied to your workspace.',
  })
}

const TO_APPLY = 'To apply the results of an experiment to your workspace run:\n\n\tcairn exp apply <exp>'

async function dryRun(session: ExpSession, args: readonly string[], options: Options): Promise<void> {
  const { reproduce } = await import('../pipeline/reproduce.ts')
  await reproduce(session, planner(session, args, options), { ...choicesOf(options), dry: true })
}

/** @throws CairnError FAILED for a name that is no name or is taken */
async function nameFor({ writer, refs }: ExpSession, baseline: string, options: Options): Promise<string> {
  const given = options['name']
  if (given === undefined) return randomName(refs)
  await checkName(writer, String(given))
  if (options['force'] !== true) refuseTaken(refs, baseline, String(given))
  return String(given)
}

function choicesOf(options: Options): Omit<RunOptions, 'name' | 'baseline' | 'overrides'> {
  return {
    ...reproChoices(options),
    jobs: options['interactive'] === true ? 1 : jobsOf(options),
    message: options['message'] === undefined ? undefined : String(options['message']),
  }
}

const planner = (session: Session, args: readonly string[], options: Options) => async () => {
  const graph = buildGraph(await session.load(), { cutFrozen: true })
  const words = (report: Report) => stageWords(report, session.cwd)
  return { graph, plan: planStages(session, graph, args, options), locks: session.locks, words }
}

/** `--pull` and `--interactive`: how stages of a session are helped, and who is asked. */
async function pulling(session: ExpSession, context: Context, options: Options): Promise<Pick<RunOptions, 'pull' | 'confirm'>> {
  const asking = confirming(options, context.signal)
  if (options['pull'] !== true) return asking
  const { pullFromRemote, pullRuns } = await import('./pull-stage.ts')
  await pullRuns(session, context)
  return { ...asking, pull: pullFromRemote(session, context) }
}

/** Runs an experiment at a commit in a copy of the repository; its outputs come out of the cache. */
async function runAside(
  session: ExpSession,
  context: Context,
  commit: string,
  { args, choices, options }: { args: readonly string[]; choices: RunOptions; options: Options },
): Promise<void> {
  const { repo, writer, env, report } = session
  await inCopy({ repo, writer, env }, commit, async (copy) => {
    const beside = sessionIn(session, copy)
    try {
      report({ type: 'result', text: `Reproducing experiment '${choices.name}'` })
      // It came along with the commit, and is no part of the experiment.
      rmSync(path.join(copy.root, ARGUMENTS_FILE), { force: true })
      await checkOutOutputs(beside.workspace, (event) => (event.type === 'warning' ? undefined : report(event)))
      copyPaths(session, copy, options)
      const helped = { ...choices, ...(await pulling(beside, context, options)) }
      await runExperiment(beside, beside.writer, planner(beside, args, options), helped)
    } finally {
      beside.workspace.close()
    }
  })
}

/** @throws CairnError FAILED for a path that is not there, or none of the repository's */
function copyPaths({ repo, cwd }: ExpSession, copy: Repo, options: Options): void {
  for (const given of Array.isArray(options['copyPaths']) ? options['copyPaths'].map(String) : []) {
    const from = path.resolve(repo.root, cwd, given)
    const location = path.relative(repo.root, from)
    if (location === '' || location.startsWith('..') || !existsSync(from))
      throw new CairnError('FAILED', `--copy-paths: '${given}' is no path of this repository`)
    cpSync(from, path.join(copy.root, location), { recursive: true, dereference: true })
  }
}

function sessionIn(session: ExpSession, copy: Repo): ExpSession {
  const { signal, report, cwd, env } = session
  return {
    ...session,
    repo: copy,
    cwd,
    load: () => loadStages(workingTree(copy)),
    workspace: openWorkspace(copy, { signal, report }),
    locks: openPathLocks(copy, { cmd: 'cairn exp run', signal, report }),
    writer: openGitWriter(copy, env),
    touched: new Set(),
  }
}

async function queue(
  session: ExpSession,
  args: readonly string[],
  overrides: readonly Override[],
  options: Options,
): Promise<void> {
  const { repo, writer, report } = session
  const baseline = baselineOf(writer)
  const runs = sweep(overrides)
  if (runs.length > 1 && options['name'] !== undefined)
    throw new CairnError('FAILED', 'a sweep gives several experiments, which cannot all have the name of -n')
  const taken: Array<{ name: string }> = [...session.refs, ...(await queuedExperiments(repo, writer))]
  const message = options['message'] === undefined ? undefined : String(options['message'])
  for (const run of runs) {
    session.signal.throwIfAborted()
    const name = options['name'] === undefined ? randomName(taken) : await nameFor(session, baseline, options)
    taken.push({ name })
    const shown = new Map(
      [...run].map(([file, each]) => [path.posix.relative(session.cwd, file) || file, each.map(overrideText)]),
    )
    if (run.size > 0) report({ type: 'result', text: `Queueing with overrides '${pythonRepr(shown)}'.` })
    await enqueue(repo, writer, { name, baseline, texts: textsOf(repo, run), args: argumentsFrom(args, options), message })
    report({ type: 'result', text: `Queued experiment '${name}' for future execution.` })
  }
}

/** Flags by their name in the options and in what dvc keeps. */
const FLAGS: ReadonlyArray<readonly [string, string]> = [
  ['singleItem', 'single_item'],
  ['force', 'force'],
  ['pipeline', 'pipeline'],
  ['allPipelines', 'all_pipelines'],
  ['downstream', 'downstream'],
  ['recursive', 'recursive'],
  ['forceDownstream', 'force_downstream'],
  ['allowMissing', 'allow_missing'],
  ['pull', 'pull'],
]

const argumentsFrom = (targets: readonly string[], options: Options): ReproArguments => ({
  targets,
  flags: Object.fromEntries(FLAGS.map(([ours, theirs]) => [theirs, options[ours] === true])),
})

/** Runs what is queued; one that fails leaves the queue and does not stop the others. */
export async function runAll(session: ExpSession, context: Context, options: Options): Promise<void> {
  const { repo, writer, report, signal } = session
  const queued = await queuedExperiments(repo, writer)
  if (queued.length === 0) return report({ type: 'result', text: 'No experiments to run.' })
  const ran: string[] = []
  const failed: string[] = []
  await mapLimit(queued, jobsOf(options), async (one) => {
    signal.throwIfAborted()
    try {
      await runQueued(session, context, one)
      ran.push(one.name)
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof CairnError)) throw error
      report({ type: 'warning', text: `experiment '${one.name}' failed: ${error.message}` })
      failed.push(one.name)
    }
    await dequeue(writer, one)
  })
  if (ran.length > 0) report({ type: 'result', text: `\nRan experiment(s): ${ran.join(', ')}\n${TO_APPLY}` })
  if (failed.length > 0) throw new CairnError('STAGE_FAILED', `experiments failed: ${failed.join(', ')}`)
}

async function runQueued(session: ExpSession, context: Context, queued: Queued): Promise<void> {
  const { writer, repo } = session
  const { targets, flags } = await argumentsOf(writer, queued, gitPrefix(repo, writer.git))
  const options: Options = Object.fromEntries(FLAGS.map(([ours, theirs]) => [ours, flags[theirs] === true]))
  const { name, baseline } = queued
  const choices = { ...choicesOf(options), name, baseline, overrides: new Map() }
  await runAside(session, context, queued.rev, { args: targets, choices, options })
}
