import type { Command } from '../command.ts'
import { SERVER_OPTION, withServer } from './administration.ts'

export const command: Command = {
  name: 'project create',
  summary: 'Make a project on the server.',
  description: 'Needs a token with the scope admin on all projects.',
  arguments: [{ name: '<name>', summary: '1 to 63 characters of a-z, 0-9, ".", "_" and "-".' }],
  options: [SERVER_OPTION],
  examples: ['cairn project create images'],
  async run(context, [name = ''], options) {
    const project = await withServer(context, options, (server) => server.createProject(name, context.signal))
    context.report({
      type: 'result',
      text: `Created the project '${project.slug}'. Its remote's url is <server>/dvc/${project.slug}`,
    })
  },
}
