import { existsSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Options, OptionSpec } from '../command.ts'
import { findTargets } from '../pipeline/find-targets.ts'
import { downstreamOf, orderStages, pipelinesOf, upstreamOf, type Graph } from '../pipeline/graph.ts'
import { matchStages } from '../pipeline/match-stages.ts'
import type { Stage } from '../pipeline/stage.ts'
import type { StageSession } from './session.ts'

export const SELECTION_OPTIONS: readonly OptionSpec[] = [
  { flags: '-s, --single-item', summary: 'Only the targets, not what they depend on.' },
  { flags: '-p, --pipeline', summary: 'The whole pipelines that the targets belong to.' },
  { flags: '-P, --all-pipelines', summary: 'Every pipeline of the repository.' },
  { flags: '-R, --recursive', summary: 'A folder stands for every stage below it.' },
  { flags: '--downstream', summary: 'The targets and what depends on them.' },
  { flags: '--glob', summary: "Targets are patterns for the names of a dvc.yaml's stages: 'train@*', 'sub/dvc.yaml:a?'." },
]

/**
 * The stages to reproduce, each after what it depends on; where that leaves a choice, in the order of the files, and with
 * `--single-item` in that of the targets.
 * @throws CairnError FAILED
 */
export function planStages(session: StageSession, graph: Graph, args: readonly string[], options: Options): Stage[] {
  if (options['allPipelines'] === true) return orderStages(graph)
  const targets = targetStages(session, graph.stages, args, options)
  const roots = options['singleItem'] === true ? targets : []
  return orderStages(graph, selected(graph, targets, options), roots)
}

function selected(graph: Graph, targets: readonly Stage[], options: Options): Set<Stage> {
  if (options['pipeline'] === true) return pipelinesOf(graph, targets)
  if (options['singleItem'] === true) return new Set(targets)
  return options['downstream'] === true ? downstreamOf(graph, targets) : upstreamOf(graph, targets)
}

function targetStages(
  session: StageSession,
  stages: readonly Stage[],
  args: readonly string[],
  options: Options,
): readonly Stage[] {
  if (args.length === 0) return defaultTargets(session, stages)
  if (options['glob'] === true) return args.flatMap((pattern) => matchStages(stages, pattern, session.cwd))
  return findStages(session, stages, args, { recursive: options['recursive'] === true })
}

/** The targets' stages, in their order. A name that is none is told as dvc does. @throws CairnError FAILED */
export function findStages(
  { cwd, repo }: StageSession,
  stages: readonly Stage[],
  args: readonly string[],
  options: { recursive?: boolean } = {},
): Stage[] {
  try {
    return [...new Set(findTargets(stages, args, cwd, options).map(({ stage }) => stage))]
  } catch (error) {
    if (!(error instanceof CairnError) || !isCode(error, 'FAILED')) throw error
    const text = error.message.replace(/^'.*' does not exist as an output or a stage name in 'dvc\.yaml': (?=Stage )/s, '')
    const none = /^'(.*)' does not exist$/s.exec(text)?.[1]
    const message = none === undefined ? text : `'${path.resolve(repo.root, cwd, none)}' does not exist`
    throw new CairnError('FAILED', message, { cause: error, ...(error.hint !== undefined && { hint: error.hint }) })
  }
}

function defaultTargets({ repo, cwd }: StageSession, stages: readonly Stage[]): readonly Stage[] {
  for (const name of ['dvc.yaml', 'Dvcfile']) {
    const file = path.posix.join(cwd, name)
    if (existsSync(path.join(repo.root, file))) return stages.filter((stage) => stage.file === file)
  }
  if (stages.length === 0 || !stages.some((stage) => stage.kind === 'legacy'))
    throw new CairnError('FAILED', `'${path.join(repo.root, cwd, 'dvc.yaml')}' does not exist`, {
      hint: "'cairn stage add' makes a stage; 'cairn repro -P' reproduces every pipeline of the repository.",
    })
  return stages
}
