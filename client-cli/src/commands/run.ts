import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Options } from '../command.ts'
import { buildGraph, type Graph } from '../pipeline/graph.ts'
import { observe } from '../pipeline/observe.ts'
import { reproduce, type Work } from '../pipeline/reproduce.ts'
import { writeAndTell } from '../pipeline/stage-turn.ts'
import { runWords } from '../pipeline/stage-words.ts'
import type { Out, Stage } from '../pipeline/stage.ts'
import { changesOf, decide, sameValue } from '../pipeline/staleness.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import type { Report } from '../report/event.ts'
import { joinCommand } from './join-command.ts'
import { withSession, type Session } from './session.ts'
import { describeFiles, locateInside, STAGE_OPTIONS, textOf } from './stage-options.ts'
import { hintToTrack } from './track-hint.ts'

export const command: Command = {
  name: 'run',
  summary: 'Run a command as a stage: record what it reads and makes in a stage file.',
  description: 'Paths are relative to the folder that the command runs in. The command is everything after the options.',
  arguments: [{ name: '[command...]', summary: 'The command with its own arguments; several words are joined by blanks.' }],
  options: [
    { flags: '-f, --file <name>', summary: 'The stage file: Dvcfile or a name that ends in .dvc. Default: <first out>.dvc' },
    ...STAGE_OPTIONS,
    { flags: '-w, --wdir <folder>', summary: 'Where the command runs. Default: here.' },
    { flags: '--no-exec', summary: 'Write the stage file without running the command.' },
    { flags: '-y, --yes', summary: 'Replace a stage file without a warning.' },
    { flags: '--overwrite-dvcfile', summary: 'The same.' },
    { flags: '--ignore-build-cache', summary: 'Run also when nothing changed.' },
    { flags: '--remove-outs', summary: 'Accepted; outs are always removed before a run.', hidden: true },
    { flags: '--no-commit', summary: 'Do not save outs into the cache.' },
  ],
  examples: [
    'cairn run -f load.dvc -d config/load.json -d code/load.py -o data python3 code/load.py',
    'cairn run -f evaluate.dvc -d model/model.h5 -M model/metrics.json python3 code/evaluate.py',
  ],
  passThrough: true,
  run: (context, args, options) =>
    withSession(context, ['cairn', 'run', ...args].join(' '), async (session) => {
      const words = (report: Report) => runWords(report, session.cwd)
      const planWork = async (): Promise<Work> => {
        const { graph, stage } = await planStage(session, joinCommand(args), options)
        return { graph, plan: stage ? [stage] : [], locks: session.locks, words }
      }
      if (options['exec'] === false) {
        await withRepoLock(session.repo, session.signal, async () => {
          for (const stage of (await planWork()).plan) writeAndTell(session, words(session.report), stage)
        })
      } else {
        await reproduce(session, planWork, { force: true, commit: options['commit'] !== false })
      }
      hintToTrack(session.repo, session.touched, context)
    }),
}

/** The stage to write and its place among the others; no stage when it is there already and nothing changed. */
async function planStage(session: Session, cmd: string, options: Options): Promise<{ graph: Graph; stage: Stage | undefined }> {
  const stages = await session.load()
  const stage = describeStage(session, stages, cmd, options)
  const existing = stages.find((other) => other.file === stage.file)
  const graph = buildGraph([...stages.filter((other) => other !== existing), stage])
  if (existing && (await isUpToDate(session, existing, stage, options))) {
    session.report({ type: 'result', text: `Stage '${stage.address}' didn't change, skipping` })
    return { graph, stage: undefined }
  }
  if (existing && options['yes'] !== true && options['overwriteDvcfile'] !== true) {
    session.report({ type: 'warning', text: `'${stage.file}' already exists and is overwritten` })
  }
  return { graph, stage }
}

/** The stage that the command line describes, with nothing recorded yet. */
function describeStage({ repo, cwd }: Session, stages: readonly Stage[], cmd: string, options: Options): Stage {
  if (cmd === '' && options['exec'] !== false)
    throw new CairnError('FAILED', 'command is not specified', { hint: 'cairn run -f FILE -d DEP -o OUT COMMAND' })
  const { wdir, deps, outs } = describeFiles(repo, cwd, options)
  const first = outs[0]
  const name = textOf(options['file']) ?? (first ? `${path.posix.basename(first.path)}.dvc` : 'Dvcfile')
  const file = locateInside(cwd, name, 'stage file')
  if (!/(^|\/)Dvcfile$|\.dvc$/.test(file)) {
    throw new CairnError(
      'FAILED',
      `bad stage filename '${name}'. Stage files should be named 'Dvcfile' or have a '.dvc' suffix (e.g. '${name}.dvc').`,
    )
  }
  const before = stages.find((stage) => stage.file === file)
  return {
    address: file,
    file,
    kind: 'legacy',
    ...(cmd !== '' && { cmd }),
    wdir,
    deps,
    params: [],
    outs: outs.map((out) => keepMetric(out, before)),
    frozen: false,
    alwaysChanged: false,
  }
}

/** How to read a metric was told once (`metrics modify`); running the stage anew does not forget it. */
function keepMetric(out: Out, before: Stage | undefined): Out {
  const known = before?.outs.find((other) => other.path === out.path)?.metric
  return out.metric && known ? { ...out, metric: known } : out
}

async function isUpToDate({ workspace }: Session, existing: Stage, wanted: Stage, options: Options): Promise<boolean> {
  if (options['ignoreBuildCache'] === true || options['exec'] === false || !sameDefinition(existing, wanted)) return false
  const seen = await observe(workspace, existing)
  return existing.deps.length > 0 && decide(existing, changesOf(existing, seen), seen) === 'fresh'
}

const sameDefinition = (one: Stage, other: Stage): boolean => sameValue(definitionOf(one), definitionOf(other))

function definitionOf({ cmd, wdir, deps, outs }: Stage): unknown {
  return {
    cmd,
    wdir,
    deps: deps.map((dep) => dep.path).toSorted(),
    outs: outs
      .map(({ path: location, cache, persist, metric }) => [location, cache, persist, metric !== undefined].join('\0'))
      .toSorted(),
  }
}
