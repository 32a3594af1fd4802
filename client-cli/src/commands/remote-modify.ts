import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { levelOption, openConfigEditor } from '../repo/config-edit.ts'
import { remoteSection } from '../repo/config.ts'
import { hasRemote, LEVEL_OPTIONS, removeOption, unknownRemote, writeOption } from './config-options.ts'

export const command: Command = {
  name: 'remote modify',
  summary: "Set or unset a remote's option.",
  arguments: [
    { name: '<name>', summary: 'The remote.' },
    { name: '<option>', summary: 'url, user, password, auth, jobs, …' },
    { name: '[value]', summary: 'Its value.' },
  ],
  options: [...LEVEL_OPTIONS, { flags: '-u, --unset', summary: 'Remove the option.' }],
  examples: ['cairn remote modify team jobs 8', 'cairn remote modify --local team password …'],
  async run(context, [name = '', given = '', value], options) {
    const editor = openConfigEditor(context.cwd, context.env)
    const level = levelOption(options) ?? 'project'
    if (!hasRemote(editor, name)) throw unknownRemote(name)
    const option = { section: remoteSection(name), key: given.toLowerCase() }
    if (options['unset'] === true) return removeOption(editor, level, option)
    if (value === undefined) throw new CairnError('USAGE', 'the following arguments are required: value (or -u/--unset)')
    writeOption(editor, level, option, value, context)
  },
}
