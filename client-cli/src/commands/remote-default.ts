import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { levelOption, openConfigEditor } from '../repo/config-edit.ts'
import { hasRemote, LEVEL_OPTIONS, removeOption, valueAt, writeOption } from './config-options.ts'

export const command: Command = {
  name: 'remote default',
  summary: 'Print or set the default remote.',
  arguments: [{ name: '[name]', summary: 'The remote to use when none is named.' }],
  options: [...LEVEL_OPTIONS, { flags: '-u, --unset', summary: 'Have no default.' }],
  examples: ['cairn remote default team', 'cairn remote default'],
  async run(context, [name], options) {
    const editor = openConfigEditor(context.cwd, context.env)
    const level = levelOption(options)
    const option = { section: 'core', key: 'remote' }
    if (options['unset'] === true) return removeOption(editor, level ?? 'project', option)
    if (name !== undefined) {
      if (!hasRemote(editor, name))
        throw new CairnError('CONFIG', 'config file error: default remote must be present in remote list.')
      return writeOption(editor, level ?? 'project', option, name.toLowerCase(), context)
    }
    const main = level === undefined ? editor.merged.get('core', 'remote') : valueAt(editor.level(level), option, context.env)
    context.report({ type: 'result', text: main ?? 'No default remote set' })
    return main === undefined ? 1 : 0
  },
}
