import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { levelOption, openConfigEditor } from '../repo/config-edit.ts'
import { removeSection, setOption } from '../repo/config-file.ts'
import { checkOption } from '../repo/config-schema.ts'
import { remoteSection } from '../repo/config.ts'
import { checkOtherOptions, LEVEL_OPTIONS, writeOption } from './config-options.ts'

export const command: Command = {
  name: 'remote add',
  summary: 'Add a remote: where objects are pushed to.',
  description: "A Cairn server's url is http(s)://HOST/dvc/PROJECT. A folder may be given relative to this one.",
  arguments: [
    { name: '<name>', summary: 'What to call it.' },
    { name: '<url>', summary: 'A url or a folder.' },
  ],
  options: [
    ...LEVEL_OPTIONS,
    { flags: '-d, --default', summary: 'Push to it and pull from it when no remote is named.' },
    { flags: '-f, --force', summary: 'Replace a remote of that name.' },
  ],
  examples: ['cairn remote add -d team https://cairn.example.org/dvc/images', 'cairn remote add backup /mnt/backup/images'],
  async run(context, [given = '', url = ''], options) {
    const name = given.toLowerCase()
    if (name === '' || /["'[\]/\n]/.test(name)) throw new CairnError('USAGE', `argument name: '${given}' cannot name a remote`)
    const editor = openConfigEditor(context.cwd, context.env)
    const level = levelOption(options) ?? 'project'
    const section = remoteSection(name)
    checkOption(section, 'url', url)
    if (editor.level(level).file.sections.has(section)) {
      if (options['force'] !== true)
        throw new CairnError('CONFIG', `config file error: remote '${name}' already exists. Use \`-f|--force\` to overwrite it.`)
      const others = editor.levels.filter((other) => other.level !== level)
      checkOtherOptions(others, section, url)
      editor.edit(level, (file) => removeSection(file, section))
    }
    writeOption(editor, level, { section, key: 'url' }, url, context)
    if (options['default'] !== true) return
    context.report({ type: 'result', text: `Setting '${name}' as a default remote.` })
    editor.edit(level, (file) => setOption(file, 'core', 'remote', name))
  },
}
