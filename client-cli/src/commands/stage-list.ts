import { existsSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Options } from '../command.ts'
import { addressFrom } from '../pipeline/find-targets.ts'
import { loadPipelines } from '../pipeline/load.ts'
import type { Out, Stage } from '../pipeline/stage.ts'
import { workingTree } from '../repo/file-tree.ts'
import { findStages } from './select-stages.ts'
import { withStages, type StageSession } from './session.ts'

const WIDTH = 80

export const command: Command = {
  name: 'stage list',
  summary: 'Print the stages and what they are for.',
  arguments: [{ name: '[target...]', summary: "Stages, stage files or folders. Default: this folder's dvc.yaml." }],
  options: [
    { flags: '--all', summary: 'Every stage of the repository.' },
    { flags: '-R, --recursive', summary: 'A folder stands for every stage below it.' },
    { flags: '--name-only', summary: 'Only the names.' },
    { flags: '--names-only', summary: 'The same.', hidden: true },
    { flags: '--fail', summary: 'Fail for any stage file that cannot be read, and not only for one that is asked for.' },
  ],
  examples: ['cairn stage list', 'cairn stage list --all'],
  run: (context, args, options) =>
    withStages(context, async (session) => {
      const listed = await listStages(session, args, options)
      const names = listed.map((stage) => addressFrom(stage, session.cwd))
      const column = Math.max(0, ...names.map((name) => name.length))
      const rows = listed.map((stage, index) => `${(names[index] ?? '').padEnd(column)}  ${describe(stage)}`.trimEnd())
      const text = (options['nameOnly'] === true || options['namesOnly'] === true ? names : rows).join('\n')
      if (text !== '') context.report({ type: 'output', text })
    }),
}

async function listStages(session: StageSession, args: readonly string[], options: Options): Promise<readonly Stage[]> {
  const { repo, cwd } = session
  const broken = new Map<string, CairnError>()
  const onBroken = (file: string, error: CairnError) => {
    if (options['fail'] === true) throw error
    broken.set(file, error)
  }
  const { stages } = await loadPipelines(workingTree(repo), { onBroken })
  if (options['all'] === true) return stages
  if (args.length === 0) {
    const file = path.posix.join(cwd, 'dvc.yaml')
    const own = stages.filter((stage) => stage.file === file)
    const failure = broken.get(file) ?? (existsSync(path.join(repo.root, file)) ? undefined : absent(path.join(repo.root, file)))
    if (own.length === 0 && failure) throw failure
    return own
  }
  try {
    return findStages(session, stages, args, { recursive: options['recursive'] === true })
  } catch (error) {
    // What was asked for may stand in the file that cannot be read.
    throw broken.values().next().value ?? error
  }
}

const absent = (file: string): CairnError =>
  new CairnError('FAILED', `'${file}' does not exist`, { hint: 'cairn stage list --all prints every stage.' })

function describe(stage: Stage): string {
  const text = firstLine(stage.desc) ?? purpose(stage)
  const characters = Array.from(text)
  return characters.length <= WIDTH ? text : `${characters.slice(0, WIDTH - 1).join('')}…`
}

const firstLine = (text: string | undefined): string | undefined =>
  text
    ?.split('\n')
    .map((line) => line.trim())
    .find((line) => line !== '')

function purpose({ deps, params, outs }: Stage): string {
  const read = [...deps, ...params]
  const list = (entries: ReadonlyArray<{ def: string }>) => entries.map((entry) => entry.def).join(', ')
  if (outs.length === 0) return read.length === 0 ? 'No outputs or dependencies' : `Depends on ${list(read)}`
  const isReport = (out: Out) => out.metric !== undefined || out.plot !== undefined
  const made = outs.filter((out) => !isReport(out))
  const reports = outs.filter(isReport)
  return [
    ...(made.length > 0 ? [`Outputs ${list(made)}`] : []),
    ...(reports.length > 0 ? [`Reports ${list(reports)}`] : []),
  ].join('; ')
}
