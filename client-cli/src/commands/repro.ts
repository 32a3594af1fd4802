import { existsSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Options } from '../command.ts'
import { buildGraph, downstreamOf, orderStages, pipelinesOf, upstreamOf, type Graph } from '../pipeline/graph.ts'
import { findTargets } from '../pipeline/load.ts'
import { reproduce, type Reproduced } from '../pipeline/reproduce.ts'
import { stageWords } from '../pipeline/stage-words.ts'
import type { Stage } from '../pipeline/stage.ts'
import type { Report } from '../report/event.ts'
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
    { flags: '-s, --single-item', summary: 'Only the targets, not what they depend on.' },
    { flags: '-p, --pipeline', summary: 'The whole pipelines that the targets belong to.' },
    { flags: '-P, --all-pipelines', summary: 'Every pipeline of the repository.' },
    { flags: '-R, --recursive', summary: 'A folder stands for every stage below it.' },
    { flags: '--downstream', summary: 'The targets and what depends on them.' },
    { flags: '--force-downstream', summary: 'Run everything that depends on a stage that ran.' },
    { flags: '--dry', summary: 'Only print what would be run.' },
    { flags: '-k, --keep-going', summary: 'After a failure go on with what does not depend on it.' },
    { flags: '--allow-missing', summary: 'What is merely absent does not count as changed.' },
    { flags: '--no-commit', summary: 'Do not save outs into the cache.' },
    { flags: '--no-run-cache', summary: 'Run also what was run before on the very same deps.' },
  ],
  examples: ['cairn repro', 'cairn repro evaluate.dvc', 'cairn repro --dry train'],
  run: (context, args, options) =>
    withSession(context, ['cairn', 'repro', ...args].join(' '), async (session) => {
      const words = (report: Report) => stageWords(report, session.cwd)
      const planWork = async () => {
        const graph = buildGraph(await session.load(), { cutFrozen: true })
        return { graph, plan: orderStages(graph, selectStages(session, graph, args, options)), locks: session.locks, words }
      }
      const done = await reproduce(session, planWork, {
        force: options['force'] === true,
        forceDownstream: options['forceDownstream'] === true,
        dry: options['dry'] === true,
        onFailure: options['keepGoing'] === true ? 'go-on' : 'stop',
        commit: options['commit'] !== false,
        allowMissing: options['allowMissing'] === true,
        runCache: options['runCache'] !== false,
      })
      hintToTrack(session.repo, session.touched, context)
      conclude(session, done, options)
    }),
}

function selectStages(session: Session, graph: Graph, args: readonly string[], options: Options): Set<Stage> {
  if (options['allPipelines'] === true) return new Set(graph.stages)
  const recursive = options['recursive'] === true
  const targets =
    args.length > 0
      ? findTargets(graph.stages, args, session.cwd, { recursive }).map(({ stage }) => stage)
      : defaultTargets(session, graph.stages)
  if (options['singleItem'] === true) return new Set(targets)
  if (options['pipeline'] === true) return pipelinesOf(graph, targets)
  return options['downstream'] === true ? downstreamOf(graph, targets) : upstreamOf(graph, targets)
}

function defaultTargets({ repo, cwd }: Session, stages: readonly Stage[]): readonly Stage[] {
  for (const name of ['dvc.yaml', 'Dvcfile']) {
    const file = path.posix.join(cwd, name)
    if (existsSync(path.join(repo.root, file))) return stages.filter((stage) => stage.file === file)
  }
  if (stages.length === 0)
    throw new CairnError('FAILED', `'${path.join(repo.root, cwd, 'dvc.yaml')}' does not exist`, {
      hint: "'cairn run' makes a stage.",
    })
  return stages
}

function conclude({ report }: Session, { plan, changed, failed }: Reproduced, options: Options): void {
  if (failed.length > 0)
    throw new CairnError('STAGE_FAILED', `failed to reproduce ${failed.map((stage) => `'${stage.address}'`).join(', ')}`)
  if (changed.length === 0) {
    const text = plan.some((stage) => stage.kind === 'legacy')
      ? 'Pipeline is up to date. Nothing to reproduce.'
      : 'Data and pipelines are up to date.'
    report({ type: 'result', text })
  } else if (options['dry'] !== true) {
    report({ type: 'result', text: 'Use `cairn push` to send your updates to remote storage.' })
  }
}
