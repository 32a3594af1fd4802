import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { levelOption, openConfigEditor, type ConfigEditor } from '../repo/config-edit.ts'
import type { ConfigLevel, Level } from '../repo/config.ts'
import { LEVEL_OPTIONS, missingOption, parseOptionName, removeOption, valueAt, writeOption } from './config-options.ts'

export const command: Command = {
  name: 'config',
  summary: 'Print or change an option.',
  description: 'Reads merge all levels, the local one last. Comments and the order of a file survive a change.',
  arguments: [
    { name: '[name]', summary: "'section.option' or 'remote.NAME.option'." },
    { name: '[value]', summary: 'Set it to this.' },
  ],
  options: [
    ...LEVEL_OPTIONS,
    { flags: '-u, --unset', summary: 'Remove the option.' },
    { flags: '-l, --list', summary: 'Print every option that is set.' },
    { flags: '--show-origin', summary: "Put each value's file in front." },
  ],
  examples: ['cairn config core.autostage true', 'cairn config cache.dir', 'cairn config -l --show-origin'],
  async run(context, [name, value], options) {
    const editor = openConfigEditor(context.cwd, context.env)
    const level = levelOption(options)
    if (options['list'] === true) return listOptions(editor, level, context, options, name)
    if (name === undefined) throw new CairnError('COMMAND_FAILED', 'name argument is required')
    const option = parseOptionName(name)
    if (options['unset'] === true) {
      if (value !== undefined) throw new CairnError('USAGE', '-u/--unset takes no value')
      return removeOption(editor, level ?? 'project', option)
    }
    if (value !== undefined) return writeOption(editor, level ?? 'project', option, value, context)
    printOption(editor, level, context, options, name)
  },
}

function printOption(editor: ConfigEditor, level: Level | undefined, context: Context, options: Options, name: string): void {
  const option = parseOptionName(name)
  const sources = level === undefined ? editor.levels : [editor.level(level)]
  const source = sources.findLast((candidate) => valueAt(candidate, option, context.env) !== undefined)
  if (source === undefined) {
    if (level !== undefined) throw missingOption(option.section, option.key)
    return
  }
  const value = valueAt(source, option, context.env) ?? ''
  context.report({ type: 'result', text: origin(source, editor, options) + value })
}

function listOptions(
  editor: ConfigEditor,
  level: Level | undefined,
  context: Context,
  options: Options,
  name: string | undefined,
): void {
  if (name !== undefined) throw new CairnError('USAGE', '-l/--list takes no name')
  const sources = level === undefined ? editor.levels : [editor.level(level)]
  for (const source of sources) {
    const sections = [...source.file.sections.values()].toSorted((a, b) => Number(isRemote(b.name)) - Number(isRemote(a.name)))
    for (const section of sections) {
      for (const key of section.options.keys()) {
        const value = valueAt(source, { section: section.name, key }, context.env) ?? ''
        context.report({ type: 'result', text: `${origin(source, editor, options)}${dotted(section.name)}.${key}=${value}` })
      }
    }
  }
}

const isRemote = (section: string) => section.startsWith('remote "')

function dotted(section: string): string {
  return section.replace(/^(remote|machine|db) "(.*)"$/, '$1.$2')
}

function origin(source: ConfigLevel, editor: ConfigEditor, options: Options): string {
  if (options['showOrigin'] !== true) return ''
  const isOurs = editor.root !== undefined && (source.level === 'project' || source.level === 'local')
  return `${isOurs ? path.relative(editor.root ?? '', source.path) : source.path}\t`
}
