import { existsSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { addressFrom, findTargets } from '../pipeline/find-targets.ts'
import type { Out, Stage } from '../pipeline/stage.ts'
import { withStages } from './session.ts'

const WIDTH = 80

export const command: Command = {
  name: 'stage list',
  summary: 'Print the stages and what they are for.',
  arguments: [{ name: '[target...]', summary: "Stages, stage files or folders. Default: this folder's dvc.yaml." }],
  options: [
    { flags: '--all', summary: 'Every stage of the repository.' },
    { flags: '-R, --recursive', summary: 'A folder stands for every stage below it.' },
    { flags: '--name-only', summary: 'Only the names.' },
    { flags: '--fail', summary: 'Accepted; a broken stage file always fails.', hidden: true },
  ],
  examples: ['cairn stage list', 'cairn stage list --all'],
  run: (context, args, options) =>
    withStages(context, async ({ repo, load, cwd }) => {
      const stages = await load()
      const file = path.posix.join(cwd, 'dvc.yaml')
      const own = stages.filter((stage) => stage.file === file)
      if (options['all'] !== true && args.length === 0 && own.length === 0 && !existsSync(path.join(repo.root, file))) {
        throw new CairnError('FAILED', `'${path.join(repo.root, file)}' does not exist`, {
          hint: 'cairn stage list --all prints every stage.',
        })
      }
      const recursive = options['recursive'] === true
      const listed =
        options['all'] === true
          ? stages
          : args.length > 0
            ? findTargets(stages, args, cwd, { recursive }).map(({ stage }) => stage)
            : own
      const names = listed.map((stage) => addressFrom(stage, cwd))
      const column = Math.max(0, ...names.map((name) => name.length))
      const rows = listed.map((stage, index) => `${(names[index] ?? '').padEnd(column)}  ${describe(stage)}`.trimEnd())
      const text = (options['nameOnly'] === true ? names : rows).join('\n')
      if (text !== '') context.report({ type: 'output', text })
    }),
}

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
