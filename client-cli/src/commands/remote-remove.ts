import type { Command } from '../command.ts'
import { levelOption, openConfigEditor } from '../repo/config-edit.ts'
import { removeSection, unsetOption } from '../repo/config-file.ts'
import { remoteSection } from '../repo/config.ts'
import { hasRemote, LEVEL_OPTIONS, unknownRemote } from './config-options.ts'

export const command: Command = {
  name: 'remote remove',
  summary: 'Forget a remote. What is stored there stays.',
  arguments: [{ name: '<name>', summary: 'The remote.' }],
  options: [...LEVEL_OPTIONS],
  examples: ['cairn remote remove backup'],
  async run(context, [given = ''], options) {
    const editor = openConfigEditor(context.cwd, context.env)
    const level = levelOption(options) ?? 'project'
    const name = given.toLowerCase()
    const section = remoteSection(name)
    if (!editor.level(level).file.sections.has(section)) {
      const elsewhere = editor.levels.find((other) => other.file.sections.has(section))
      throw unknownRemote(name, elsewhere && `It stands in ${elsewhere.path}: use --${elsewhere.level}.`)
    }
    editor.edit(level, (file) => removeSection(file, section))
    dropLocalRest(editor, section)
    if (hasRemote(editor, name)) return
    // A default that names nothing would make every push fail.
    for (const { level: at } of editor.levels.filter((source) => source.level === level || source.level === 'local')) {
      const main = editor.level(at).file.sections.get('core')?.options.get('remote')?.value
      if (typeof main === 'string' && main.toLowerCase() === name) editor.edit(at, (file) => unsetOption(file, 'core', 'remote'))
    }
  },
}

/** Own options of a remote that has no url any more: dvc would refuse to start over them. */
function dropLocalRest(editor: ReturnType<typeof openConfigEditor>, section: string): void {
  const local = editor.levels.find((source) => source.level === 'local')
  if (local?.file.sections.has(section) && editor.merged.get(section, 'url') === undefined) {
    editor.edit('local', (file) => removeSection(file, section))
  }
}
