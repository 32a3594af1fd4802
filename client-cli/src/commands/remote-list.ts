import type { Command } from '../command.ts'
import { levelOption, openConfigEditor } from '../repo/config-edit.ts'
import { LEVEL_OPTIONS, remotesAt } from './config-options.ts'

export const command: Command = {
  name: 'remote list',
  summary: 'Print the remotes and their urls.',
  options: [...LEVEL_OPTIONS],
  examples: ['cairn remote list'],
  async run(context, _args, options) {
    const editor = openConfigEditor(context.cwd, context.env)
    const level = levelOption(options)
    const sources = level === undefined ? editor.levels : [editor.level(level)]
    const urls = new Map<string, string>()
    for (const { name, url } of sources.flatMap((source) => remotesAt(source, context.env)))
      if (url !== undefined) urls.set(name, url)
    const main = editor.merged.get('core', 'remote')
    for (const [name, url] of urls) {
      context.report({ type: 'result', text: toColumns(name === main ? [name, url, '(default)'] : [name, url]) })
    }
  },
}

/** Tabs to the next multiple of eight, as blanks. */
function toColumns(cells: readonly string[]): string {
  return cells.map((cell, at) => (at === cells.length - 1 ? cell : cell.padEnd((Math.floor(cell.length / 8) + 1) * 8))).join('')
}
