import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import type { Command, Options } from '../command.ts'
import { buildGraph } from '../pipeline/graph.ts'
import { reproduce, type Work } from '../pipeline/reproduce.ts'
import { refuseTrackedOuts } from '../pipeline/stage-turn.ts'
import { stageWords } from '../pipeline/stage-words.ts'
import { writeStage } from '../pipeline/save-stage.ts'
import type { Stage } from '../pipeline/stage.ts'
import { addToGitIgnore } from '../repo/git-ignore.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import type { Report } from '../report/event.ts'
import { joinCommand } from './join-command.ts'
import { withSession, type Session } from './session.ts'
import { describeFiles, describeParams, PLOT_OPTIONS, STAGE_OPTIONS, textOf } from './stage-options.ts'
import { hintToTrack } from './track-hint.ts'

export const command: Command = {
  name: 'stage add',
  summary: "Write a stage into this folder's dvc.yaml.",
  description: 'Paths are relative to the folder that the command runs in. The command is everything after the options.',
  arguments: [{ name: '[command...]', summary: 'The command with its own arguments; several words are joined by blanks.' }],
  options: [
    { flags: '-n, --name <name>', summary: 'What to call the stage.' },
    { flags: '-f, --force', summary: 'Replace a stage of that name.' },
    { flags: '-p, --params <keys>', summary: 'Params that it reads: KEY,… of params.yaml, or FILE:KEY,….', repeatable: true },
    ...STAGE_OPTIONS,
    ...PLOT_OPTIONS,
    { flags: '-w, --wdir <folder>', summary: 'Where the command runs. Default: here.' },
    { flags: '--always-changed', summary: 'Run it with every repro.' },
    { flags: '--desc <text>', summary: 'What it is for.' },
    { flags: '--run', summary: 'Run it at once.' },
  ],
  examples: ['cairn stage add -n train -d data -d train.py -p lr -o model python3 train.py'],
  passThrough: true,
  run: (context, args, options) =>
    withSession(context, ['cairn', 'stage', 'add', ...args].join(' '), async (session) => {
      const stage = await withRepoLock(session.repo, session.signal, () => addStage(session, joinCommand(args), options))
      if (options['run'] === true) await runAdded(session, stage.address)
      hintToTrack(session.repo, session.touched, context)
    }),
}

async function addStage(session: Session, cmd: string, options: Options): Promise<Stage> {
  const stages = await session.load()
  const stage = describeStage(session, cmd, options)
  const standing = stages.filter(
    (other) => other.file === stage.file && (other.name === stage.name || other.template?.group === stage.name),
  )
  if (standing.length > 0 && options['force'] !== true) {
    throw new CairnError('FAILED', `Stage '${stage.name}' already exists in '${stage.file}'. Use '--force' to overwrite.`)
  }
  buildGraph([...stages.filter((other) => !standing.includes(other)), stage])
  refuseTrackedOuts(session, stage)
  for (const file of writeStage(session.repo, stage)) session.touched.add(file)
  for (const out of stage.outs.toSorted((a, b) => compareCodePoints(a.path, b.path))) {
    const ignoreFile = out.cache ? addToGitIgnore(session.repo, out.path) : undefined
    if (ignoreFile !== undefined) session.touched.add(ignoreFile)
  }
  session.report({ type: 'result', text: `Added stage '${stage.name}' in '${stage.file}'` })
  return stage
}

function describeStage({ repo, cwd }: Session, cmd: string, options: Options): Stage {
  const name = textOf(options['name'])
  if (name === undefined || name === '') throw new CairnError('USAGE', 'the following arguments are required: -n/--name')
  if (/[!-,./:-@[-^`{-~]/.test(name)) throw new CairnError('FAILED', 'Stage name cannot contain punctuation characters.')
  if (cmd === '') throw new CairnError('FAILED', 'command is not specified')
  const files = describeFiles(repo, cwd, options)
  const desc = textOf(options['desc'])
  const file = path.posix.join(cwd, 'dvc.yaml')
  return {
    address: cwd === '' ? name : `${file}:${name}`,
    file,
    name,
    kind: 'pipeline',
    cmd,
    ...files,
    params: describeParams(files.wdir, options['params']),
    frozen: false,
    alwaysChanged: options['alwaysChanged'] === true,
    ...(desc !== undefined && { desc }),
  }
}

async function runAdded(session: Session, address: string): Promise<void> {
  const words = (report: Report) => ({ ...stageWords(report, session.cwd), failure: (_stage: Stage, cause: CairnError) => cause })
  const planWork = async (): Promise<Work> => {
    const graph = buildGraph(await session.load())
    return { graph, plan: graph.stages.filter((stage) => stage.address === address), locks: session.locks, words }
  }
  await reproduce(session, planWork, {})
}
