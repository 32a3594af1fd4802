import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { jsonText } from '../pipeline/json-value.ts'
import { TEMPLATES } from '../pipeline/vega-templates.ts'

export const command: Command = {
  name: 'plots templates',
  summary: 'Print the names of the built-in templates of plots, or one of them.',
  description: 'A template printed into .dvc/plots/<name>.json is the start of one of your own.',
  arguments: [{ name: '[template]', summary: 'Print this one, as JSON.' }],
  options: [],
  examples: ['cairn plots templates', 'cairn plots templates linear'],
  async run(context, [name]) {
    if (name === undefined) {
      for (const each of TEMPLATES.keys()) context.report({ type: 'result', text: each })
      return
    }
    const template = TEMPLATES.get(name)
    if (template === undefined) throw new CairnError('COMMAND_FAILED', `Unexpected template: ${name}.`)
    context.report({ type: 'output', text: jsonText(template) })
  },
}
