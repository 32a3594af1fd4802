import type { Command } from '../command.ts'
import { levelOption, openConfigEditor } from '../repo/config-edit.ts'
import { openRepo } from '../repo/open.ts'
import { LEVEL_OPTIONS, missingOption, removeOption, valueAt, writeOption } from './config-options.ts'

export const command: Command = {
  name: 'cache dir',
  summary: 'Print or set where the cache is.',
  arguments: [{ name: '[path]', summary: 'The new folder. Objects are not moved.' }],
  options: [...LEVEL_OPTIONS, { flags: '-u, --unset', summary: 'Back to .dvc/cache.' }],
  examples: ['cairn cache dir', 'cairn cache dir --local /mnt/large/cache'],
  async run(context, [dir], options) {
    const editor = openConfigEditor(context.cwd, context.env)
    const level = levelOption(options)
    const option = { section: 'cache', key: 'dir' }
    if (options['unset'] === true) return removeOption(editor, level ?? 'project', option)
    if (dir !== undefined) return writeOption(editor, level ?? 'project', option, dir, context)
    const at =
      level === undefined ? openRepo(context.cwd, context.env).cacheDir : valueAt(editor.level(level), option, context.env)
    if (at === undefined) throw missingOption('cache', 'dir')
    context.report({ type: 'result', text: at })
  },
}
