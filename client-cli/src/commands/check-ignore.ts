import { statSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Options } from '../command.ts'
import { openExplainer, type Verdict } from '../repo/explain-ignore.ts'
import { openRepo } from '../repo/open.ts'

export const command: Command = {
  name: 'check-ignore',
  summary: 'Print which paths .dvcignore hides, and by which rule.',
  description: 'Exits with 0 when a rule is about one of them, else with 1.',
  arguments: [{ name: '[target...]', summary: 'Paths; they need not be there.' }],
  options: [
    { flags: '-d, --details', summary: 'Print the rule too: FILE:LINE:RULE and the path.' },
    { flags: '-n, --non-matching', summary: 'With -d: also the paths that no rule is about.' },
    { flags: '--stdin', summary: 'Read the paths from standard input, one a line.' },
    { flags: '-a, --all', summary: 'Accepted with -d; the rule that decides is printed.', hidden: true },
  ],
  examples: ['cairn check-ignore data/raw.log', 'cairn check-ignore -d data/*'],
  async run(context, args, options) {
    refuseMixes(args, options)
    const repo = openRepo(context.cwd, context.env)
    const explain = openExplainer(repo.root)
    let found = false
    const look = (target: string) => {
      const absolute = path.resolve(context.cwd, target)
      const verdict = isOutside(repo.root, absolute)
        ? undefined
        : explain(relativeTo(repo.root, absolute), isFolder(absolute, target))
      const text = describe(verdict, target, options)
      if (text !== undefined) context.report({ type: 'result', text })
      found ||= verdict !== undefined && (options['details'] === true || !verdict.negated)
    }
    if (options['stdin'] === true) for await (const line of createInterface({ input: process.stdin })) look(line)
    else args.forEach(look)
    return found ? 0 : 1
  },
}

function refuseMixes(args: readonly string[], options: Options): void {
  const fail = (message: string) => new CairnError('FAILED', message)
  if (args.length === 0 && options['stdin'] !== true) throw fail('`targets` or `--stdin` needed')
  if (args.length > 0 && options['stdin'] === true) throw fail('cannot have both `targets` and `--stdin`')
  for (const [name, flag] of [
    ['nonMatching', '--non-matching'],
    ['all', '--all'],
  ] as const)
    if (options[name] === true && options['details'] !== true) throw fail(`\`${flag}\` is only valid with \`--details\``)
}

function describe(verdict: Verdict | undefined, target: string, options: Options): string | undefined {
  if (options['details'] !== true) return verdict && !verdict.negated ? target : undefined
  if (!verdict) return options['nonMatching'] === true ? `::\t${target}` : undefined
  const place = verdict.place ? `${verdict.place.file}:${verdict.place.line}` : ''
  return `${place}:${verdict.pattern}\t${target}`
}

const isFolder = (absolute: string, target: string): boolean =>
  target.endsWith('/') || statSync(absolute, { throwIfNoEntry: false })?.isDirectory() === true

const relativeTo = (root: string, absolute: string): string => path.relative(root, absolute).split(path.sep).join('/')

function isOutside(root: string, absolute: string): boolean {
  const relative = path.relative(root, absolute)
  return relative === '' || relative === '..' || relative.startsWith(`..${path.sep}`)
}
