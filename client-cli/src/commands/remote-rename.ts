import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { levelOption, openConfigEditor } from '../repo/config-edit.ts'
import { renameSection, setOption } from '../repo/config-file.ts'
import { remoteSection } from '../repo/config.ts'
import { hasRemote, LEVEL_OPTIONS, unknownRemote } from './config-options.ts'

export const command: Command = {
  name: 'remote rename',
  summary: 'Call a remote by another name.',
  arguments: [
    { name: '<name>', summary: 'The remote.' },
    { name: '<new>', summary: 'Its new name.' },
  ],
  options: [...LEVEL_OPTIONS],
  examples: ['cairn remote rename origin team'],
  async run(context, [given = '', wanted = ''], options) {
    const editor = openConfigEditor(context.cwd, context.env)
    const level = levelOption(options) ?? 'project'
    const [from, to] = [given.toLowerCase(), wanted.toLowerCase()]
    if (to === '' || /["'[\]/\n]/.test(to)) throw new CairnError('USAGE', `argument new: '${wanted}' cannot name a remote`)
    if (!editor.level(level).file.sections.has(remoteSection(from))) throw unknownRemote(from)
    if (hasRemote(editor, to))
      throw new CairnError('CONFIG', `config file error: Rename failed. Remote name '${to}' already exists.`)
    // The private options follow, or dvc would find a remote without a url there.
    const levels = level === 'project' ? (['project', 'local'] as const) : ([level] as const)
    for (const at of levels) {
      if (editor.level(at).file.sections.has(remoteSection(from))) {
        editor.edit(at, (file) => renameSection(file, remoteSection(from), remoteSection(to)))
      }
      const main = editor.level(at).file.sections.get('core')?.options.get('remote')?.value
      if (typeof main === 'string' && main.toLowerCase() === from)
        editor.edit(at, (file) => setOption(file, 'core', 'remote', to))
    }
  },
}
